# What fewer steps, another sampler or fewer windows cost and save, with the same weights and the
# same noise: the whole cascade by each of the PRESETS, measured as in measures.mk.
#
#   make -f pipelines/presets.mk WEIGHTS=weights REAL=held-out.npy OUT=presets
#   make -f pipelines/presets.mk ... PRESETS="ddim-50 mine" PRESET_mine="ddim-200 ddim-20 2"
#
# A preset is the sampler of diffuse3d, that of refine-slice, and the hop of decode-multislice. What
# presets have in common is made once, and counts for each of them.

OUT ?= build/presets
PRESETS ?= ddim-200 ddim-50 ddim-20 dpm-20 dpm-10 start-500 hop-3 ddim-20-hop-3 dpm-10-hop-3

SAMPLER_ddim-200 ?= --steps 200
SAMPLER_ddim-50 ?= --steps 50
SAMPLER_ddim-20 ?= --steps 20
SAMPLER_dpm-20 ?= --sampler dpm++ --steps 20
SAMPLER_dpm-10 ?= --sampler dpm++ --steps 10
SAMPLER_start-500 ?= --steps 50 --start 500 # from z_sr noised to half of the timesteps

PRESET_ddim-200 ?= ddim-200 ddim-200 1
PRESET_ddim-50 ?= ddim-50 ddim-50 1
PRESET_ddim-20 ?= ddim-20 ddim-20 1
PRESET_dpm-20 ?= dpm-20 dpm-20 1
PRESET_dpm-10 ?= dpm-10 dpm-10 1
PRESET_start-500 ?= ddim-50 start-500 1
PRESET_hop-3 ?= ddim-50 ddim-50 3
PRESET_ddim-20-hop-3 ?= ddim-20 ddim-20 3
PRESET_dpm-10-hop-3 ?= dpm-10 dpm-10 3

ROWS := $(PRESETS)
global = $(word 1,$(PRESET_$(1)))
both = $(call global,$(1))+$(word 2,$(PRESET_$(1)))
hop = $(word 3,$(PRESET_$(1)))
define stages
STAGES_$(1) = $(OUT)/z/$(call global,$(1)).npy $(OUT)/z_sr/$(call global,$(1)).npy \
              $(OUT)/z_hr/$(call both,$(1)).npy $(OUT)/$(1)/volume.npy
endef
$(foreach preset,$(PRESETS),$(if $(call hop,$(preset)),, \
    $(error PRESET_$(preset) is not set to two samplers and a hop)))
$(foreach preset,$(PRESETS),$(eval $(call stages,$(preset))))

include $(dir $(lastword $(MAKEFILE_LIST)))measures.mk

$(OUT)/z/%.npy: $(LDM3D)
	$(measured) diffuse3d -w $< $(noise_options) $(SAMPLER_$*) $(DIFFUSE_FLAGS) $(FLAGS)

$(OUT)/z_sr/%.npy: $(OUT)/z/%.npy $(NHAE)
	$(measured) latent-sr -w $(NHAE) $(FLAGS) $<

define refine_rule
$(OUT)/z_hr/$(1)+$(2).npy: $(OUT)/z_sr/$(1).npy $(REFINER)
	$$(measured) refine-slice -w $(REFINER) --seed $(SEED) $(SAMPLER_$(2)) $(REFINE_FLAGS) \
	    $(FLAGS) $$<
endef
$(foreach pair,$(sort $(foreach preset,$(PRESETS),$(call both,$(preset)))), \
    $(eval $(call refine_rule,$(firstword $(subst +, ,$(pair))),$(lastword $(subst +, ,$(pair))))))

define decode_rule
$(OUT)/$(1)/volume.npy: $(OUT)/z_hr/$(call both,$(1)).npy $(MULTISLICE)
	$$(measured) decode-multislice -w $(MULTISLICE) --hop $(call hop,$(1)) $(DECODE_FLAGS) \
	    $(FLAGS) $$<
endef
$(foreach preset,$(PRESETS),$(eval $(call decode_rule,$(preset))))
