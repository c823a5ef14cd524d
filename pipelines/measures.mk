# How ablation.mk and presets.mk judge volumes: a table with a row for each way to make them, and
# one for real volumes.
#
#   REAL           two or more volumes that no network has learnt from: a file, or a folder of
#                  *.npy
#   SEEN           volumes that they have learnt from, in the same way: adds the distance to the
#                  nearest of them
#   COUNT          how many volumes are made (8)
#   SHAPE, SEED    of the latents that they begin from; without SHAPE what the weights say
#   MEASURE_FLAGS  options of octmetrics fid, such as --plane intra
#
# Who includes this sets ROWS, and for each row STAGES_row, the files that its stages make: the last
# one is OUT/row/volume.npy, and each recipe is $(measured) COMMAND, which also makes FILE.cost.

REAL ?=
$(if $(REAL),,$(error REAL=FOLDER or FILE says which volumes are held out))
SEEN ?=
COUNT ?= 8
SEED ?= 0
SHAPE ?=
MEASURE_FLAGS ?=

include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
include $(PIPELINES)/page.mk

export LC_ALL := C
# Of a folder, or the file itself.
files = $(if $(1),$(or $(sort $(wildcard $(1)/*.npy)),$(1)))
STAGES := diffuse3d latent-sr refine-slice decode-multislice
QUALITY := fid-encoder-intra fid-encoder-inter tv slice-difference projection-difference \
           $(if $(SEEN),nearest)
COST := seconds $(STAGES:%=seconds-%) mib mib-pipe $(STAGES:%=mib-%)
FACTS = $(ROWS:%=$(OUT)/%/facts.tsv) $(OUT)/real/facts.tsv

measured = $(PIPELINES)/measured $@
noise_options = -n $(COUNT) $(SHAPE:%=--shape %) --seed $(SEED)

.NOTPARALLEL: # stages are timed

.PHONY: table
.DEFAULT_GOAL := table
table: $(OUT)/table.tsv $(OUT)/table.md $(OUT)/volumes.png

define measure
for measure in tv slice-difference projection-difference; do octmetrics $$measure --tsv $(1); done
$(if $(SEEN),octmetrics nearest --tsv $(1) $(SEEN))
endef

$(OUT)/%/measures.tsv: $(OUT)/%/volume.npy $(NHAE) $(call files,$(REAL)) $(call files,$(SEEN))
	{ octmetrics fid --tsv -w $(NHAE) $(MEASURE_FLAGS) $< $(REAL)
	  $(call measure,$<)
	} > $@.part
	mv $@.part $@

# Real volumes have a distance too: of every other one to those between.
$(OUT)/real/half%.npy: $(call files,$(REAL))
	mkdir -p $(@D)
	tensor-pick --range $*::2 -o $@ $^

$(OUT)/real/facts.tsv: $(OUT)/real/half0.npy $(OUT)/real/half1.npy $(NHAE) $(call files,$(SEEN))
	{ octmetrics fid --tsv -w $(NHAE) $(MEASURE_FLAGS) $(OUT)/real/half0.npy $(OUT)/real/half1.npy
	  $(call measure,$(REAL))
	} > $@.part
	mv $@.part $@

# All stages of a row one after another: their seconds together, the highest of their peaks. In a
# pipe they run at the same time, and the peaks add up.
define row_rule
$(OUT)/$(1)/facts.tsv: $(OUT)/$(1)/measures.tsv $(STAGES_$(1))
	{ cat $$<
	  awk -v FS='\t' -v OFS='\t' '
	      { print "seconds-" $$$$1, $$$$2; print "mib-" $$$$1, $$$$3 }
	      { seconds += $$$$2; mib = $$$$3 > mib ? $$$$3 : mib; pipe += $$$$3 }
	      END { print "seconds", seconds; print "mib", mib; print "mib-pipe", pipe }' \
	      $(STAGES_$(1):%=%.cost); } > $$@.part
	mv $$@.part $$@
endef
$(foreach row,$(ROWS),$(eval $(call row_rule,$(row))))

TABLE := $(PIPELINES)/table.awk
$(OUT)/table.tsv: $(FACTS) $(TABLE)
	awk -f $(TABLE) -v columns="$(subst tv,tv tv-deviation,$(QUALITY)) $(COST)" $(FACTS) > $@.part
	mv $@.part $@

$(OUT)/table.md: $(FACTS) $(TABLE)
	{ awk -f $(TABLE) -v markdown=1 -v columns="$(QUALITY)" $(FACTS)
	  echo
	  awk -f $(TABLE) -v markdown=1 -v columns="$(COST)" $(FACTS); } > $@.part
	mv $@.part $@

# Of each row, and of the real volumes, the first one.
$(OUT)/volumes.png: $(ROWS:%=$(OUT)/%/volume.npy) $(firstword $(call files,$(REAL)))
	for volumes in $^; do tensor-pick --range 0 $$volumes; done |
	    tensor-view --mode cuts --square --row -o $@
