# How much of held-out volumes the cascade keeps, without synthesis: each row brings the same
# volumes to fewer numbers and back.
#
#   area-z     means of boxes, as many as z has numbers, between them trilinear
#   nhae       encode3d, latent-sr, the 2-D decoder
#   refined    encode3d, latent-sr, refine-slice, the 2-D decoder
#   full       encode3d, latent-sr, refine-slice, the multi-slice decoder
#   area-hr    means of boxes, as many as z_hr has numbers, between them trilinear
#   slices     encode2d, the 2-D decoder
#   windows    encode2d, the multi-slice decoder
#
#   make -f pipelines/fidelity.mk WEIGHTS=weights VOLUMES=held-out.npy CLEAN=clean.npy OUT=fidelity
#
#   VOLUMES   volumes of one shape, in a file; CLEAN: the same without speckle
#   BOX_Z     voxels along D, H and W of the boxes of area-z and area-hr: (1,4,4) is a box for each
#   BOX_HR    number of z_hr whatever the sizes, (8,4,4) for each number of z

OUT ?= build/fidelity
VOLUMES ?=
$(if $(VOLUMES),,$(error VOLUMES=FILE says what to reconstruct))
CLEAN ?=
SEED ?= 0
BOX_Z ?= 8,4,4
BOX_HR ?= 1,4,4
ROWS := area-z nhae refined full area-hr slices windows

include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
include $(PIPELINES)/page.mk

export LC_ALL := C
FACTS := $(ROWS:%=$(OUT)/%/facts.tsv)
COLUMNS := $(if $(CLEAN),psnr-clean ssim-clean) psnr ssim ssim-along-H ssim-along-W tv

.PHONY: table
.DEFAULT_GOAL := table
table: $(OUT)/table.tsv $(OUT)/table.md $(OUT)/volumes.png

$(OUT)/z.npy: $(VOLUMES) $(NHAE) | $(OUT)
	downsample -f 2 $< | encode3d -w $(NHAE) $(FLAGS) -o $@

$(OUT)/z_sr.npy: $(OUT)/z.npy $(NHAE)
	latent-sr -w $(NHAE) $(FLAGS) -o $@ $<

$(OUT)/z_hr.npy: $(OUT)/z_sr.npy $(REFINER)
	refine-slice -w $(REFINER) --seed $(SEED) $(REFINE_FLAGS) $(FLAGS) -o $@ $<

$(OUT)/encoded.npy: $(VOLUMES) $(NHAE) | $(OUT)
	encode2d -w $(NHAE) $(FLAGS) -o $@ $<

extents = $$(tensor-info $(1) | sed -n '1s/.*(\(.*\)), .*/\1/p' | tr -d ' ')
define boxes
mkdir -p $(@D)
downsample -f $(1) --method area $< | resize --to $(call extents,$<) -o $@
endef
define decoded
mkdir -p $(@D)
decode-multislice -w $(1) $(FLAGS) -o $@ $<
endef

$(OUT)/area-z/volume.npy: $(VOLUMES)
	$(call boxes,$(BOX_Z))
$(OUT)/area-hr/volume.npy: $(VOLUMES)
	$(call boxes,$(BOX_HR))
$(OUT)/nhae/volume.npy: $(OUT)/z_sr.npy $(NHAE)
	$(call decoded,$(NHAE))
$(OUT)/refined/volume.npy: $(OUT)/z_hr.npy $(NHAE)
	$(call decoded,$(NHAE))
$(OUT)/full/volume.npy: $(OUT)/z_hr.npy $(MULTISLICE)
	$(call decoded,$(MULTISLICE) $(DECODE_FLAGS))
$(OUT)/slices/volume.npy: $(OUT)/encoded.npy $(NHAE)
	$(call decoded,$(NHAE))
$(OUT)/windows/volume.npy: $(OUT)/encoded.npy $(MULTISLICE)
	$(call decoded,$(MULTISLICE) $(DECODE_FLAGS))

# Along H and W: of slices seen from above, and of B-scans at right angles to those that networks
# saw.
named = octmetrics $(1) --tsv $(3) $(4) | sed 's/^[^\t]*/$(2)/'
$(OUT)/%/facts.tsv: $(OUT)/%/volume.npy $(VOLUMES) $(CLEAN)
	{ $(if $(CLEAN),$(call named,psnr,psnr-clean,$(CLEAN),$<)
	  $(call named,ssim,ssim-clean,$(CLEAN),$<))
	  octmetrics psnr --tsv $(VOLUMES) $<
	  octmetrics ssim --tsv $(VOLUMES) $<
	  for axis in H W; do
	      reslice --along $$axis $< |
	          octmetrics ssim --tsv <(reslice --along $$axis $(VOLUMES)) - |
	          sed "s/^[^\t]*/ssim-along-$$axis/"
	  done
	  octmetrics tv --tsv $<
	} > $@.part
	mv $@.part $@

TABLE := $(PIPELINES)/table.awk
$(OUT)/table.tsv: $(FACTS) $(TABLE)
	awk -f $(TABLE) -v columns="$(COLUMNS)" $(FACTS) > $@.part
	mv $@.part $@

$(OUT)/table.md: $(FACTS) $(TABLE)
	awk -f $(TABLE) -v markdown=1 -v columns="$(COLUMNS)" $(FACTS) > $@.part
	mv $@.part $@

$(OUT)/volumes.png: $(VOLUMES) $(CLEAN) $(ROWS:%=$(OUT)/%/volume.npy)
	for volumes in $^; do tensor-pick --range 0 $$volumes; done |
	    tensor-view --mode cuts --square --row -o $@
