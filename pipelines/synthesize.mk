# Synthesize volumes: noise -> z -> z_sr -> z_hr -> volume (the paper's cascade).
#
#   make -f pipelines/synthesize.mk WEIGHTS=weights OUT=eyes SEED=7 COUNT=4
#
# COUNT volumes go through each file one after another. SHAPE is the shape of z; without it, what
# the weights were trained on. REFINE=no leaves the slice refiner out (the paper's ablation).

include $(dir $(lastword $(MAKEFILE_LIST)))common.mk

SEED ?= 0
COUNT ?= 1
SHAPE ?=
REFINE ?= yes

.PHONY: synthesize
.DEFAULT_GOAL := synthesize
synthesize: $(OUT)/volume.tif $(OUT)/volume.png $(OUT)/en-face.png

$(OUT)/z.npy: $(LDM3D) | $(OUT)
	diffuse3d -w $(LDM3D) -n $(COUNT) $(SHAPE:%=--shape %) --seed $(SEED) \
	    $(preset) $(DIFFUSE_FLAGS) $(FLAGS) -o $@

$(OUT)/z_sr.npy: $(OUT)/z.npy $(NHAE)
	latent-sr -w $(NHAE) $(FLAGS) -o $@ $<

$(OUT)/z_hr.npy: $(OUT)/z_sr.npy $(REFINER)
	refine-slice -w $(REFINER) --seed $(SEED) $(preset) $(REFINE_FLAGS) $(FLAGS) -o $@ $<

$(OUT)/volume.npy: $(OUT)/$(if $(filter yes,$(REFINE)),z_hr,z_sr).npy $(MULTISLICE)
	decode-multislice -w $(MULTISLICE) $(DECODE_FLAGS) $(FLAGS) -o $@ $<

$(OUT)/en-face.png: $(OUT)/volume.npy
	tensor-view --row --mode en-face -o $@ $<
