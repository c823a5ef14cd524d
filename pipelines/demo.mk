# The demo: synthesize retinal volumes with the weights in testdata/demo, and reconstruct a phantom
# that these networks were not trained on. `make train-demo` makes such weights anew.
#
#   make -f pipelines/demo.mk COUNT=4 SEED=3
#   make -f pipelines/demo.mk picture          docs/demo.png and docs/demo-arcade.png

TOP := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
BIN ?= $(TOP)/../bin
OUT ?= build/demo
WEIGHTS ?= $(TOP)/../testdata/demo
COUNT ?= 1
SEED ?= 1
PRESET ?= fast
COMMON_NOISE ?= 0.8
PHANTOM := phantom --shape 128,128,128 --depth 1.4 --seed 20000
export PATH := $(abspath $(BIN)):$(PATH)

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.ONESHELL:

STAGES := WEIGHTS=$(WEIGHTS) BIN=$(BIN) SEED=$(SEED) PRESET=$(PRESET) \
          REFINE_FLAGS='--common-noise $(COMMON_NOISE)'

.PHONY: demo
demo: $(OUT)/phantom.npy
	@start=$$(date +%s.%N)
	$(MAKE) --no-print-directory -f $(TOP)/synthesize.mk $(STAGES) OUT=$(OUT)/synthesis \
	    COUNT=$(COUNT)
	$(MAKE) --no-print-directory -f $(TOP)/reconstruct.mk $(STAGES) OUT=$(OUT)/reconstruction \
	    SCAN=$< CLEAN=$(OUT)/clean.npy PAD=8,32,32
	echo
	echo "synthetic volume: $$(octmetrics tv $(OUT)/synthesis/volume.npy)"
	cat $(OUT)/reconstruction/measures.txt
	ls $(OUT)/synthesis/*.{tif,png} $(OUT)/reconstruction/*.{tif,png}
	date +%s.%N | awk -v start=$$start '{ printf "demo: %.1f s\n", $$1 - start }'

$(OUT)/phantom.npy: $(MAKEFILE_LIST)
	@mkdir -p $(@D)
	$(PHANTOM) --clean $(OUT)/clean.npy -o $@

# Three cuts of four volumes each, and B-scans of them where the phantoms have their upper arcade.
.PHONY: picture
picture:
	$(MAKE) --no-print-directory -f $(TOP)/synthesize.mk $(STAGES) OUT=$(OUT)/picture COUNT=4 \
	    $(OUT)/picture/volume.npy
	tensor-view --row --mode cuts -o $(TOP)/../docs/demo.png $(OUT)/picture/volume.npy
	tensor-slice --range 10 $(OUT)/picture/volume.npy | tensor-view --row --mode montage --count 1 \
	    --window=-1,0.2 -o $(TOP)/../docs/demo-arcade.png
