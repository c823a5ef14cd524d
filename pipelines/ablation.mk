# The paper's ablation (its Table 1, lower half) with weights of one's own: the same 3-D latents
# become volumes
#
#   global   without slice refiner and adaptors: z_sr by the 2-D decoder    (NHAE + Diff_3D)
#   refined  with the slice refiner: z_hr by the 2-D decoder                (+ Diff_slice)
#   full     with both: z_hr by the multi-slice decoder                     (+ Dec_M)
#
# and each is measured against volumes that were held out (measures.mk says what else can be set).
#
#   make -f pipelines/ablation.mk WEIGHTS=weights REAL=held-out.npy COUNT=16 OUT=ablation

OUT ?= build/ablation
ROWS := global refined full
STAGES_global = $(OUT)/z.npy $(OUT)/z_sr.npy $(OUT)/global/volume.npy
STAGES_refined = $(OUT)/z.npy $(OUT)/z_sr.npy $(OUT)/z_hr.npy $(OUT)/refined/volume.npy
STAGES_full = $(OUT)/z.npy $(OUT)/z_sr.npy $(OUT)/z_hr.npy $(OUT)/full/volume.npy

include $(dir $(lastword $(MAKEFILE_LIST)))measures.mk

$(OUT)/z.npy: $(LDM3D)
	$(measured) diffuse3d -w $< $(noise_options) $(DIFFUSE_FLAGS) $(FLAGS)

$(OUT)/z_sr.npy: $(OUT)/z.npy $(NHAE)
	$(measured) latent-sr -w $(NHAE) $(FLAGS) $<

$(OUT)/z_hr.npy: $(OUT)/z_sr.npy $(REFINER)
	$(measured) refine-slice -w $(REFINER) --seed $(SEED) $(REFINE_FLAGS) $(FLAGS) $<

$(OUT)/global/volume.npy: $(OUT)/z_sr.npy $(NHAE)
	$(measured) decode-multislice -w $(NHAE) $(FLAGS) $<

$(OUT)/refined/volume.npy: $(OUT)/z_hr.npy $(NHAE)
	$(measured) decode-multislice -w $(NHAE) $(FLAGS) $<

$(OUT)/full/volume.npy: $(OUT)/z_hr.npy $(MULTISLICE)
	$(measured) decode-multislice -w $(MULTISLICE) $(DECODE_FLAGS) $(FLAGS) $<
