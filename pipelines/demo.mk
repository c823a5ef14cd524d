# The demo: synthesize a small volume and reconstruct the scan in testdata, with small fresh
# weights. Fresh weights are random numbers: the pictures show that the cascade runs, not what it
# can do.

TOP := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
BIN ?= $(TOP)/../bin
OUT ?= build/demo
SCAN := $(TOP)/../testdata/eye-32x64x64.tif
export PATH := $(abspath $(BIN)):$(PATH)

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:

SMALL := --groups 8 --blocks 1
PARTS := nhae ldm3d refiner multislice
SIZE_nhae := --width 16 --width2d 32 --codes 1024
SIZE_ldm3d := --width 32 --mult 1,2 --attention 2
SIZE_refiner := --width 32 --mult 1,2 --attention 2
SIZE_multislice := --width 32 --codes 1024
WEIGHTS := $(PARTS:%=$(OUT)/weights/%.safetensors)
STAGES := WEIGHTS=$(OUT)/weights BIN=$(BIN) DIFFUSE_FLAGS='--steps 20' REFINE_FLAGS='--steps 20'

.PHONY: demo
demo: $(WEIGHTS)
	@start=$$(date +%s.%N)
	$(MAKE) --no-print-directory -f $(TOP)/synthesize.mk $(STAGES) OUT=$(OUT)/synthesis \
	    SHAPE=4,4,8,8 SEED=7
	$(MAKE) --no-print-directory -f $(TOP)/reconstruct.mk $(STAGES) OUT=$(OUT)/reconstruction \
	    SCAN=$(SCAN) PAD=8,16,16
	echo
	echo "Weights are fresh (untrained): the pictures look like noise."
	echo "synthetic volume: $$(octmetrics tv $(OUT)/synthesis/volume.npy)"
	cat $(OUT)/reconstruction/measures.txt
	ls $(OUT)/synthesis/volume.{tif,png} $(OUT)/reconstruction/reconstruction.{tif,png}
	date +%s.%N | awk -v start=$$start '{ printf "demo: %.1f s\n", $$1 - start }'

.ONESHELL:
$(OUT)/weights/%.safetensors: $(MAKEFILE_LIST)
	@mkdir -p $(@D)
	init-weights $* $(SMALL) $(SIZE_$*) --seed 1 -o $@
