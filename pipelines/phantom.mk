# The picture docs/phantom.png: B-scans of phantoms, and one from above.
#
#   make -f pipelines/phantom.mk
#
# First row: a B-scan through the fovea, the same without speckle and noise, one of another eye with
# fluid. Second row: a B-scan near the arcade, the mean along the A-scans, the map of the vessels.

OUT ?= build/phantom
include $(dir $(lastword $(MAKEFILE_LIST)))common.mk

PICTURE := $(PIPELINES)/../docs/phantom.png
SHAPE := 192,384,256
EYE := --seed 4 --first 3
FLUID := --seed 4 --first 7 --fluid 1
ROWS := 90:282 # of the 384: as many as there are slices, so that all panels are alike
FOVEA := 96
ARCADE := 16

rows = tensor-slice --axis 1 --range $(ROWS)

.PHONY: phantom
.DEFAULT_GOAL := phantom
phantom: $(PICTURE)

$(PICTURE): $(OUT)/panels.npy
	tensor-view --mode montage --count 6 --square -o $@ $<

$(OUT)/panels.npy: $(OUT)/fovea.npy $(OUT)/clean.npy $(OUT)/fluid.npy $(OUT)/arcade.npy \
                   $(OUT)/above.npy $(OUT)/map.npy
	tensor-cat -o $@ $^

$(OUT)/eye.npy: $(BIN)/phantom | $(OUT)
	phantom --shape $(SHAPE) $(EYE) -o $@

$(OUT)/fovea.npy $(OUT)/arcade.npy: $(OUT)/eye.npy
	tensor-slice --range $(if $(findstring fovea,$@),$(FOVEA),$(ARCADE)) $< | $(rows) -o $@

$(OUT)/clean.npy: $(BIN)/phantom | $(OUT)
	phantom --shape $(SHAPE) $(EYE) --clean - -o /dev/null | tensor-slice --range $(FOVEA) |
	    $(rows) -o $@

$(OUT)/fluid.npy: $(BIN)/phantom | $(OUT)
	phantom --shape $(SHAPE) $(FLUID) | tensor-slice --range $(FOVEA) | $(rows) -o $@

# The mean over 192 rows is (D,1,W); its slices joined along the rows are a picture (1,D,W).
$(OUT)/above.npy: $(OUT)/eye.npy
	$(rows) $< | downsample -f 1,192,1 --method area | tensor-split | tensor-cat --axis 1 |
	    tensor-cast --to u1 --scale 4 --offset -110 -o $@

$(OUT)/map.npy: $(BIN)/phantom | $(OUT)
	phantom --shape $(SHAPE) $(EYE) --vessels - -o /dev/null | tensor-cat --stack |
	    tensor-cast --to u1 --scale 127 -o $@
