# Reconstruct a scan: volume -> thumbnail -> z -> z_sr -> z_hr -> volume, and compare.
#
#   make -f pipelines/reconstruct.mk SCAN=eye.tif WEIGHTS=weights OUT=eye
#
# SCAN may be a stream too (eye.npy). CLEAN is the same volume without speckle, such as phantom
# makes; the reconstruction is compared with it as well.
#
# Extents that the networks do not take are padded and cut off again at the end. PAD is what they
# must be multiples of: D by the depth of the cascade, H and W by the decoder and the refiner.

include $(dir $(lastword $(MAKEFILE_LIST)))common.mk

SCAN ?= $(error SCAN=FILE.tif says what to reconstruct)
SEED ?= 0
CLEAN ?=
PAD ?= 8,64,64
REFINE ?= yes

.PHONY: reconstruct
.DEFAULT_GOAL := reconstruct
reconstruct: $(OUT)/reconstruction.tif $(OUT)/reconstruction.png $(OUT)/en-face.png \
        $(OUT)/measures.txt

$(OUT)/scan.npy: $(SCAN) | $(OUT)
	$(if $(filter %.npy,$<),cp $< $@,tiff-to-tensor -o $@ $<)

$(OUT)/padded.npy: $(OUT)/scan.npy
	pad --multiple $(PAD) --replicate -o $@ $<

$(OUT)/thumbnail.npy: $(OUT)/padded.npy
	downsample -f 2 -o $@ $<

$(OUT)/z.npy: $(OUT)/thumbnail.npy $(NHAE)
	encode3d -w $(NHAE) $(FLAGS) -o $@ $<

$(OUT)/z_sr.npy: $(OUT)/z.npy $(NHAE)
	latent-sr -w $(NHAE) $(FLAGS) -o $@ $<

$(OUT)/z_hr.npy: $(OUT)/z_sr.npy $(REFINER)
	refine-slice -w $(REFINER) --seed $(SEED) $(preset) $(REFINE_FLAGS) $(FLAGS) -o $@ $<

$(OUT)/decoded.npy: $(OUT)/$(if $(filter yes,$(REFINE)),z_hr,z_sr).npy $(MULTISLICE)
	decode-multislice -w $(MULTISLICE) $(DECODE_FLAGS) $(FLAGS) -o $@ $<

$(OUT)/reconstruction.npy: $(OUT)/decoded.npy
	crop -o $@ $<

$(OUT)/en-face.png: $(OUT)/reconstruction.npy
	tensor-view --mode en-face -o $@ $<

$(OUT)/measures.txt: $(OUT)/scan.npy $(OUT)/reconstruction.npy $(CLEAN)
	{ echo "scan: $$(octmetrics tv $<)"
	  echo "reconstruction: $$(octmetrics tv $(OUT)/reconstruction.npy)"
	  echo "reconstruction against scan: $$(octmetrics psnr $(wordlist 1,2,$^))"
	  echo "reconstruction against scan: $$(octmetrics ssim $(wordlist 1,2,$^))"
	  $(if $(CLEAN),echo "reconstruction against clean: $$(octmetrics psnr $(CLEAN) $(word 2,$^))"
	  echo "reconstruction against clean: $$(octmetrics ssim $(CLEAN) $(word 2,$^))")
	} > $@.part
	mv $@.part $@
