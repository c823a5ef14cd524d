# What all pipelines share. Each rule is one stage and each intermediate a file that
# numpy.load opens. Programs write under a temporary name and rename, so a file that is there is
# whole; a failed target is deleted.
#
#   BIN      where the programs are (default: bin/ beside this folder)
#   OUT      where the files go
#   FLAGS    options for every network stage: --precision bf16, --threads 2, --memory 4G, -v
#   PRESET   --preset of the diffusion networks that a volume is made or reconstructed with

.DELETE_ON_ERROR:
.ONESHELL:
.SUFFIXES:
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PIPELINES := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
BIN ?= $(PIPELINES)/../bin
OUT ?= out
FLAGS ?=
PRESET ?=
preset = $(PRESET:%=--preset %)
export PATH := $(abspath $(BIN)):$(PATH)

# The cascade's weight files (see docs/pipelines.md).
WEIGHTS ?= weights
NHAE ?= $(WEIGHTS)/nhae.safetensors
LDM3D ?= $(WEIGHTS)/ldm3d.safetensors
REFINER ?= $(WEIGHTS)/refiner.safetensors
MULTISLICE ?= $(WEIGHTS)/multislice.safetensors

# Options of single stages.
DIFFUSE_FLAGS ?=
REFINE_FLAGS ?=
DECODE_FLAGS ?=

$(OUT):
	mkdir -p $@

%.tif: %.npy
	tensor-to-tiff -o $@ $<

%.png: %.npy
	tensor-view --row -o $@ $<
