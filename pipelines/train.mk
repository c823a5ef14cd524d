# Train the cascade in the paper's order: the 2-D auto-encoder, NHAE, the two diffusion networks on
# latents that the filters write, the adaptors of the multi-slice decoder; and make a volume with
# what has been learnt.
#
#   make -f pipelines/train.mk SIZE=demo
#   make -f pipelines/train.mk SIZE=small EYES=scans
#
# It may be stopped at any time; the same command goes on, in the middle of a training too. A
# training goes on only with the same options and data: for others give another OUT.
#
#   SIZE         tiny, demo, small or full (train-sizes.mk, whose variables may be given here)
#   EYES         a folder of volumes *.npy, of one shape; without it phantoms are made
#   LPIPS        weights of VGG-16 and LPIPS, for the perceptual term
#   TRAIN_FLAGS  options for every training, such as --checkpoint-minutes 60

SIZE ?= demo
OUT ?= build/train-$(SIZE)
WEIGHTS ?= $(OUT)/weights
SEED ?= 1
LPIPS ?=
TRAIN_FLAGS ?=
PHANTOM_FLAGS ?= --fluid 0.2

include $(dir $(lastword $(MAKEFILE_LIST)))train-sizes.mk
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk

ifeq ($(SHAPE_$(SIZE)),)
$(error SIZE=$(SIZE) is none of tiny, demo, small, full)
endif
ifdef EYES
NAMES := $(sort $(patsubst $(EYES)/%.npy,%,$(wildcard $(EYES)/*.npy)))
$(if $(NAMES),,$(error $(EYES) holds no *.npy))
else
NAMES := $(shell seq -w 0 $$(($(FILES_$(SIZE)) - 1)))
EYES := $(OUT)/eyes
endif
VOLUMES := $(NAMES:%=$(EYES)/%.npy)
Z := $(NAMES:%=$(OUT)/z/%.npy)
PAIRED := $(wordlist 1,$(or $(PAIRS_$(SIZE)),$(words $(NAMES))),$(NAMES))
Z_SR := $(PAIRED:%=$(OUT)/z_sr/%.npy)
Z_HR := $(PAIRED:%=$(OUT)/z_hr/%.npy)
COMPUTE := $(if $(PRECISION_$(SIZE)),--precision $(PRECISION_$(SIZE))) $(FLAGS)

.PHONY: train
.DEFAULT_GOAL := train
train: $(NHAE) $(LDM3D) $(REFINER) $(MULTISLICE) $(OUT)/volume.png

$(foreach folder,eyes z z_sr z_hr fresh runs trained weights,$(OUT)/$(folder)):
	mkdir -p $@

# Copy the weights to the folder TO, once all are there.
.PHONY: hand-out
hand-out: train
	mkdir -p $(TO)
	cp $(NHAE) $(LDM3D) $(REFINER) $(MULTISLICE) $(TO)

# Volumes, and their latents once NHAE is trained.
$(OUT)/eyes/%.npy: | $(OUT)/eyes
	phantom -n $(EYES_$(SIZE)) --first $$((10#$* * $(EYES_$(SIZE)))) --shape $(SHAPE_$(SIZE)) \
	    --seed $(SEED) $(PHANTOM_$(SIZE)) $(PHANTOM_FLAGS) -o $@

$(OUT)/z/%.npy: $(EYES)/%.npy $(NHAE) | $(OUT)/z
	downsample -f 2 $< | encode3d -w $(NHAE) $(COMPUTE) -o $@

$(OUT)/z_sr/%.npy: $(OUT)/z/%.npy $(NHAE) | $(OUT)/z_sr
	latent-sr -w $(NHAE) $(COMPUTE) -o $@ $<

$(OUT)/z_hr/%.npy: $(EYES)/%.npy $(NHAE) | $(OUT)/z_hr
	encode2d -w $(NHAE) $(COMPUTE) -o $@ $<

# Fresh weights. Where a part is trained already, they take it from there.
part = $(basename $(@F))
fresh = init-weights $(part) $(INIT_$(SIZE)_$(part)) --seed $(SEED)

$(OUT)/fresh/%.safetensors: | $(OUT)/fresh
	$(fresh) -o $@

$(OUT)/fresh/nhae.safetensors: $(OUT)/trained/autoencoder2d.safetensors | $(OUT)/fresh
	$(fresh) --from $< -o $@

$(OUT)/fresh/multislice.safetensors: $(OUT)/trained/nhae.safetensors | $(OUT)/fresh
	$(fresh) --from $< -o $@

# Trainings run in runs/, with their checkpoints, logs and pictures, and outlast a make that is
# stopped. trained/ holds what has come to its end: averages where there are any, no discriminator.
train = $(1) -w $< --seed $(SEED) --held-out $(HELD_$(SIZE)) $(TRAIN_$(SIZE)_$(part)) $(COMPUTE) \
        $(TRAIN_FLAGS) -o $(OUT)/runs/$(@F)
judge = $(if $(filter no,$(ADVERSARIAL_$(SIZE))),,--discriminator $(1)) $(LPIPS:%=--lpips %)
keep = weights-cast --to f32 $(if $(findstring --ema,$(TRAIN_$(SIZE)_$(part))),--ema) \
       $(OUT)/runs/$(@F) -o $@

$(OUT)/trained/autoencoder2d.safetensors: $(OUT)/fresh/autoencoder2d.safetensors \
        $(OUT)/fresh/discriminator.safetensors $(VOLUMES) | $(OUT)/runs $(OUT)/trained
	$(call train,train-autoencoder2d) $(call judge,$(OUT)/fresh/discriminator.safetensors) $(VOLUMES)
	$(keep)

$(OUT)/trained/nhae.safetensors: $(OUT)/fresh/nhae.safetensors $(VOLUMES) | $(OUT)/runs
	$(call train,train-nhae) $(call judge,$(OUT)/runs/autoencoder2d.safetensors) $(VOLUMES)
	$(keep)

$(OUT)/trained/ldm3d.safetensors: $(OUT)/fresh/ldm3d.safetensors $(Z) | $(OUT)/runs
	$(call train,train-diffuse3d) $(Z)
	$(keep)

$(OUT)/trained/refiner.safetensors: $(OUT)/fresh/refiner.safetensors $(Z_SR) $(Z_HR) | $(OUT)/runs
	$(call train,train-refine-slice) $(Z_SR) $(Z_HR)
	$(keep)

$(OUT)/trained/multislice.safetensors: $(OUT)/fresh/multislice.safetensors $(VOLUMES) | $(OUT)/runs
	$(call train,train-decode-multislice) --encoder $(OUT)/trained/nhae.safetensors \
	    $(call judge,$(OUT)/runs/nhae.safetensors) $(VOLUMES)
	$(keep)

$(WEIGHTS)/%.safetensors: $(OUT)/trained/%.safetensors | $(OUT)/weights
	weights-cast --to $(TYPE_$(SIZE)) -o $@ $<

$(OUT)/volume.npy: $(LDM3D) $(NHAE) $(REFINER) $(MULTISLICE)
	diffuse3d -w $(LDM3D) -n 1 --seed $(SEED) $(SAMPLE_$(SIZE)) $(DIFFUSE_FLAGS) $(FLAGS) |
	    latent-sr -w $(NHAE) $(FLAGS) |
	    refine-slice -w $(REFINER) --seed $(SEED) $(SAMPLE_$(SIZE)) $(REFINE_FLAGS) $(FLAGS) |
	    decode-multislice -w $(MULTISLICE) $(DECODE_FLAGS) $(FLAGS) -o $@
