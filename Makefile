# octpipe - build, test, install.
#
#   make                       programs into bin/
#   make test SANITIZE=1       the same tests under AddressSanitizer and UBSan
#   make DEBUG=1               unoptimized, with symbols, into build-debug/bin
#   make CUDA=0                without the CUDA backend, which is built where nvcc and cuDNN are found
#   make V=1                   show the commands
#
# Everything is found by pattern: filters/NAME.c becomes bin/NAME, all of lib/ and kernels/ becomes
# one static library, tests/unit/test_NAME.c becomes one test program. A file config.mk, when there
# is one, sets variables for this machine (CC, CFLAGS, PREFIX, ...).

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.ONESHELL:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

-include config.mk

# What a variant changes: where things go and how they are optimized.
ifdef SANITIZE
BUILD := build-sanitize
BIN := $(BUILD)/bin
CFLAGS ?= -O1 -g
VARIANT := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
else ifdef FUZZ
BUILD := build-fuzz
BIN := $(BUILD)/bin
CC := $(FUZZ)
CFLAGS ?= -O1 -g
WERROR ?= 0
OPENMP :=
ifneq (,$(findstring clang,$(FUZZ)))
VARIANT := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
           -Wno-unknown-warning-option
endif
else ifdef DEBUG
BUILD := build-debug
BIN := $(BUILD)/bin
CFLAGS ?= -O0 -g3
VARIANT :=
else
BUILD := build
BIN := bin
CFLAGS ?= -O2
VARIANT :=
endif

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
INSTALL ?= install
PKG_CONFIG ?= pkg-config
PREFIX ?= /usr/local
DESTDIR ?=
WERROR ?= 1
OPENMP ?= -fopenmp
JOBS ?= $(shell nproc)

comma := ,

# Asked for when first used, and once, so that a bare machine can parse this file.
once = $(eval $(1) := $(2))$($(1))
PACKAGES_C := libtiff-4 libpng libjpeg zlib libcjson libzip lapacke openblas
LIBRARY_CFLAGS = $(call once,LIBRARY_CFLAGS,$(shell $(PKG_CONFIG) --cflags $(PACKAGES_C)))
LIBRARY_LIBS = $(call once,LIBRARY_LIBS,$(shell $(PKG_CONFIG) --libs $(PACKAGES_C)))
CMOCKA_LIBS = $(call once,CMOCKA_LIBS,$(shell $(PKG_CONFIG) --libs cmocka))
MACHINE := $(shell uname -m)

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla \
            -Wno-format-truncation $(if $(filter 1,$(WERROR)),-Werror)
COMPILE = $(CC) -std=c17 $(CFLAGS) $(VARIANT) $(OPENMP) $(WARNINGS) -D_GNU_SOURCE -I. \
          $(if $(filter x86_64,$(MACHINE)),,-DSIMD_ONLY_PORTABLE) $(LIBRARY_CFLAGS) $(CPPFLAGS)
LINK = $(CC) $(CFLAGS) $(VARIANT) $(OPENMP) -Wl,--as-needed $(LDFLAGS)
LIBS = $(LIBRARY_LIBS) -lnifti2 -lmatio -ldl -lm

# Vectorized kernels are compiled once for each instruction set and chosen at run time.
SIMD_SETS := $(if $(filter x86_64,$(MACHINE)),avx512 avx2) portable
SIMD_COMMON := -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast -fopenmp-simd
SIMD_avx512 := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c -mprefer-vector-width=512
SIMD_avx2 := -mavx2 -mfma -mf16c
SIMD_portable :=

FILTERS := $(sort $(patsubst filters/%.c,%,$(wildcard filters/*.c)))
PROGRAMS := $(FILTERS:%=$(BIN)/%)
SIMD_SOURCES := $(wildcard kernels/cpu/*_simd.c)
SOURCES := $(filter-out $(SIMD_SOURCES),$(sort \
           $(wildcard lib/*/*.c lib/*/*/*.c kernels/*.c kernels/cpu/*.c)))
TEXTS := $(wildcard lib/*/*.css lib/*/*.html lib/*/*.js)
ifdef FUZZ # what the targets read with, which needs no kernels
SIMD_SOURCES :=
TEXTS :=
SOURCES := $(filter-out lib/io/filter.c,\
           $(wildcard lib/core/*.c lib/io/*.c lib/scans/*.c lib/checkpoint/*.c))
endif
OBJECTS := $(SOURCES:%.c=$(BUILD)/%.o) $(TEXTS:%=$(BUILD)/%.o) \
           $(foreach set,$(SIMD_SETS),$(SIMD_SOURCES:%.c=$(BUILD)/%_$(set).o))
LIBRARY := $(BUILD)/liboctpipe.a
TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
TEST_HELPERS := $(patsubst %.c,$(BUILD)/%.o, \
                $(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))
FUZZ_TARGETS := $(sort $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_TESTS := $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz_%)
BENCH := $(BUILD)/bench
BENCH_SIMD := $(wildcard pipelines/bench/*_simd.c)
BENCH_OBJECTS := $(patsubst %.c,$(BUILD)/%.o, \
                 $(filter-out $(BENCH_SIMD),$(wildcard pipelines/bench/*.c))) \
                 $(foreach set,$(SIMD_SETS),$(BENCH_SIMD:%.c=$(BUILD)/%_$(set).o))

# The CUDA backend: a shared object that programs load on demand. CUDNN_HOME is where include/cudnn.h
# lies, CUDA_ARCHS are compute capabilities; the last one's PTX is for newer devices.
CUDA_HOME ?= $(or $(patsubst %/bin/nvcc,%,$(shell command -v nvcc)),/usr/local/cuda)
CUDNN_HOME ?= $(CUDA_HOME)
CUDA_ARCHS ?= 80 90
NVCC ?= $(CUDA_HOME)/bin/nvcc
ifneq (,$(SANITIZE)$(FUZZ))
CUDA ?= 0
endif
CUDA ?= $(if $(and $(wildcard $(NVCC)),$(wildcard $(CUDNN_HOME)/include/cudnn.h),$(shell \
                   command -v $(CXX))),1,0)
ifneq ($(CUDA),0)
BACKEND := $(BIN)/octpipe-cuda.so
endif
# What programs and backend must have been built with alike: their interface.
INTERFACE = $(call once,INTERFACE,$(shell cat kernels/*.h | cksum | cut -d' ' -f1))
CUDA_BUILD := $(BUILD)/cuda
CUDA_OBJECTS := $(patsubst %.c,$(CUDA_BUILD)/%.o,$(wildcard kernels/*.c kernels/cuda/*.c)) \
                $(patsubst %,$(CUDA_BUILD)/%.o,$(wildcard kernels/cuda/*.cu))
CUDA_CODE := $(foreach arch,$(CUDA_ARCHS),-gencode arch=compute_$(arch)$(comma)code=sm_$(arch)) \
             -gencode arch=compute_$(lastword $(CUDA_ARCHS))$(comma)code=compute_$(lastword $(CUDA_ARCHS))
CUDA_COMPILE = $(COMPILE) -fPIC -isystem $(CUDNN_HOME)/include -isystem $(CUDA_HOME)/include
NVCC_COMPILE = $(NVCC) -ccbin $(CC) -std=c++17 -O3 $(CUDA_CODE) -Xcompiler -fPIC,-Wall,-Wextra \
               $(if $(filter 1,$(WERROR)),-Werror all-warnings) -I. -isystem $(CUDNN_HOME)/include
CUDA_FOLDERS = $(wildcard $(CUDNN_HOME)/lib64 $(CUDNN_HOME)/lib)
CUDA_LIBS = $(CUDA_FOLDERS:%=-L%) -L$(CUDA_HOME)/lib64 -l:libcudnn.so.9 -lcudart_static -lpthread -ldl -lrt

.PHONY: all
all: $(PROGRAMS) $(BACKEND) ## build the programs into bin/ (the default)
	@$(if $(BACKEND),:,rm -f $(BIN)/octpipe-cuda.so)

# Lists that a target depends on beside its files: rewritten only when they change.
LIST_flags = $(COMPILE)
LIST_cuda = $(NVCC_COMPILE) $(CUDA_OBJECTS) $(CUDA_LIBS)
LIST_interface = $(INTERFACE)
LIST_objects = $(OBJECTS)
LIST_filters = $(FILTERS)
$(BUILD)/%.list: FORCE
	@mkdir -p $(@D)
	if ! cmp -s $@ - <<< '$(LIST_$*)'; then cat > $@ <<< '$(LIST_$*)'; fi
.PHONY: FORCE
FORCE:

$(BUILD)/%.o: %.c $(BUILD)/flags.list
	@mkdir -p $(@D)
	echo '  CC      $<'
	$(if $(V),set -x)
	$(COMPILE) $(OBJECT_FLAGS) -MMD -MP -c $< -o $@

# Texts that programs write are linked in as they are: lib/io/page.js lies between
# _binary_lib_io_page_js_start and _binary_lib_io_page_js_end.
$(TEXTS:%=$(BUILD)/%.o): $(BUILD)/%.o: %
	@mkdir -p $(@D)
	echo '  TEXT    $<'
	$(if $(V),set -x)
	$(CC) -r -nostdlib -Wl,-z,noexecstack -Wl,-b,binary $< -o $@

define simd_rule
$$(BUILD)/%_simd_$(1).o: %_simd.c $$(BUILD)/flags.list
	@mkdir -p $$(@D)
	echo '  CC      $$< ($(1))'
	$$(if $$(V),set -x)
	$$(COMPILE) $$(SIMD_COMMON) $$(SIMD_$(1)) -DSIMD=$(1) -MMD -MP -c $$< -o $$@
endef
$(foreach set,$(SIMD_SETS),$(eval $(call simd_rule,$(set))))

$(LIBRARY): $(OBJECTS) $(BUILD)/objects.list
	@echo '  AR      $@'
	rm -f $@
	$(AR) rcs $@ $(OBJECTS)

OBJECT_FLAGS :=
INTERFACE_OBJECTS := $(BUILD)/lib/engine/device.o $(BUILD)/tests/unit/device.o \
                     $(CUDA_BUILD)/kernels/cuda/backend.o
$(INTERFACE_OBJECTS): $(BUILD)/interface.list
$(INTERFACE_OBJECTS): OBJECT_FLAGS = -DBACKEND_INTERFACE=$(INTERFACE)
$(BUILD)/filters/octpipe.o: $(BUILD)/filters.list
$(BUILD)/filters/octpipe.o: OBJECT_FLAGS = \
    -DOCTPIPE_FILTERS='$(patsubst %,"%"$(comma),$(filter-out octpipe,$(FILTERS)))'

# libnifti's headers name each other without their folder.
$(BUILD)/lib/scans/nifti_%.o: OBJECT_FLAGS = -isystem /usr/include/nifti

$(PROGRAMS): $(BIN)/%: $(BUILD)/filters/%.o $(LIBRARY)
	@mkdir -p $(@D)
	echo '  LD      $@'
	$(if $(V),set -x)
	$(LINK) $^ $(LIBS) -o $@

$(TESTS): $(BUILD)/tests/%: $(BUILD)/tests/unit/%.o $(TEST_HELPERS) $(LIBRARY)
	@mkdir -p $(@D)
	echo '  LD      $@'
	$(if $(V),set -x)
	$(LINK) $^ $(LIBS) $(CMOCKA_LIBS) -o $@

$(CUDA_BUILD)/%.o: %.c $(BUILD)/flags.list $(BUILD)/cuda.list
	@mkdir -p $(@D)
	echo '  CC      $< (cuda)'
	$(if $(V),set -x)
	$(CUDA_COMPILE) $(OBJECT_FLAGS) -MMD -MP -c $< -o $@

$(CUDA_BUILD)/%.cu.o: %.cu $(BUILD)/cuda.list
	@mkdir -p $(@D)
	echo '  NVCC    $<'
	$(if $(V),set -x)
	$(NVCC_COMPILE) -MMD -MP -c $< -o $@

$(BIN)/octpipe-cuda.so: $(CUDA_OBJECTS) kernels/cuda/exports.map
	@mkdir -p $(@D)
	echo '  LD      $@'
	$(if $(V),set -x)
	$(CXX) -shared $(CUDA_OBJECTS) -Wl,--version-script=kernels/cuda/exports.map -Wl,--no-undefined \
	    $(LDFLAGS) $(CUDA_FOLDERS:%=-Wl$(comma)-rpath$(comma)%) $(CUDA_LIBS) -o $@

# main.c feeds a target files; libFuzzer brings a main of its own.
LIBFUZZER := $(if $(findstring clang,$(FUZZ)),-fsanitize=fuzzer)
$(FUZZ_TESTS): $(BUILD)/tests/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/fuzz.o \
                $(if $(LIBFUZZER),,$(BUILD)/tests/fuzz/main.o) $(LIBRARY)
	@mkdir -p $(@D)
	echo '  LD      $@'
	$(if $(V),set -x)
	$(LINK) $(LIBFUZZER) $^ $(LIBS) -o $@

.SECONDARY:
-include $(CUDA_OBJECTS:.o=.d)
-include $(OBJECTS:.o=.d) $(TEST_HELPERS:.o=.d) $(FILTERS:%=$(BUILD)/filters/%.d) \
         $(TESTS:$(BUILD)/tests/%=$(BUILD)/tests/unit/%.d) $(BUILD)/tests/fuzz/fuzz.d \
         $(FUZZ_TARGETS:%=$(BUILD)/tests/fuzz/fuzz_%.d) $(BUILD)/tests/fuzz/main.d

# The programs that make needs are built in a second make, after `deps` has installed what they
# need, and on all cores unless -j says otherwise.
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(JOBS))

.PHONY: test
test: deps ## build and run all tests, or those that ONLY names; SANITIZE=1, GOLDEN=dir
	@+$(SUBMAKE) all unit-tests $(BENCH)
	BIN='$(abspath $(BIN))' UNIT='$(abspath $(BUILD)/tests)' BENCH='$(abspath $(BENCH))' \
	SANITIZE='$(SANITIZE)' \
	GOLDEN='$(if $(GOLDEN),$(abspath $(GOLDEN)))' tests/run $(ONLY)

.PHONY: test-gpu
test-gpu: ## the tests of kernels, networks and filters on the CUDA device of this machine
	@+$(SUBMAKE) all unit-tests
	BIN='$(abspath $(BIN))' UNIT='$(abspath $(BUILD)/tests)' DEVICE=cuda \
	GOLDEN='$(if $(GOLDEN),$(abspath $(GOLDEN)))' tests/run $(ONLY)

.PHONY: test-plans
test-plans: ## without a GPU: cuDNN's plans of every convolution at full size, and the memory
	@+$(SUBMAKE) all $(BUILD)/tests/test_cuda_plans
	BIN='$(abspath $(BIN))' $(BUILD)/tests/test_cuda_plans

.PHONY: unit-tests
unit-tests: $(TESTS) $(FUZZ_TESTS)

.PHONY: fuzz-targets
fuzz-targets: $(FUZZ_TESTS)

.PHONY: fuzz
fuzz: ## look for inputs that break readers; ONLY="names" FUZZ_SECONDS=60 (clang, else AFL++)
	@FUZZ_SECONDS='$(or $(FUZZ_SECONDS),60)' tests/fuzz/run $(ONLY)

.PHONY: demo
demo: deps ## synthesize a volume with the weights in the repository
	@+$(SUBMAKE) all
	$(MAKE) --no-print-directory -f pipelines/demo.mk BIN='$(abspath $(BIN))'

.PHONY: train-demo
train-demo: deps ## train the networks of testdata/demo anew, from phantoms; it may be stopped
	@+$(SUBMAKE) all
	$(MAKE) --no-print-directory -f pipelines/train.mk BIN='$(abspath $(BIN))' SIZE=demo \
	    TO=testdata/demo hand-out

# The benchmark's page goes to stdout, so what building says does not.
.PHONY: bench
bench: ## measure the programs on this machine: a page of Markdown; BENCH_FLAGS=, WEIGHTS=folder
	@+$(SUBMAKE) all $(BENCH) >&2
	PATH='$(abspath $(BIN))':$$PATH BENCH='$(abspath $(BENCH))' pipelines/bench/run $(BENCH_FLAGS)

.PHONY: bench-gpu
bench-gpu: ## measure networks, a whole volume and PyTorch on the CUDA device; BENCH_FLAGS=
	@+$(SUBMAKE) all $(BENCH) >&2
	PATH='$(abspath $(BIN))':$$PATH BENCH='$(abspath $(BENCH))' pipelines/bench/gpu $(BENCH_FLAGS)

$(BENCH): $(BENCH_OBJECTS) $(LIBRARY)
	@echo '  LD      $@'
	$(if $(V),set -x)
	$(LINK) $^ $(LIBS) -o $@
-include $(BENCH_OBJECTS:.o=.d)

.PHONY: bundle
bundle: ## a folder with test-gpu and bench-gpu for a machine with a driver and cuDNN alone
	@+$(SUBMAKE) all unit-tests $(BENCH)
	BIN='$(BIN)' UNIT='$(BUILD)/tests' BENCH='$(BENCH)' pipelines/bundle $(BUILD)/bundle

.PHONY: docs
docs: docs/filters.md pages ## write docs/filters.md, man pages, completions from the option tables

docs/filters.md: $(PROGRAMS)
	@mkdir -p $(@D)
	$(BIN)/octpipe list --markdown > $@.part
	mv $@.part $@

PAGES := $(FILTERS:%=$(BUILD)/man/%.1) $(FILTERS:%=$(BUILD)/completion/%)
.PHONY: pages
pages: $(PAGES)
$(BUILD)/man/%.1: $(BIN)/%
	@mkdir -p $(@D)
	$< --man > $@
$(BUILD)/completion/%: $(BIN)/%
	@mkdir -p $(@D)
	$< --completion > $@

.PHONY: install
install: all pages ## install programs, man pages and completions; PREFIX=/usr/local DESTDIR=
	@share='$(DESTDIR)$(PREFIX)/share'
	$(INSTALL) -d '$(DESTDIR)$(PREFIX)/bin' "$$share/man/man1" \
	    "$$share/bash-completion/completions"
	$(INSTALL) $(PROGRAMS) '$(DESTDIR)$(PREFIX)/bin'
	if [ -n '$(BACKEND)' ]; then
	    $(INSTALL) -d '$(DESTDIR)$(PREFIX)/lib/octpipe'
	    $(INSTALL) -m 644 $(BACKEND) '$(DESTDIR)$(PREFIX)/lib/octpipe'
	else
	    rm -f '$(DESTDIR)$(PREFIX)/lib/octpipe/octpipe-cuda.so' # of an earlier build
	fi
	$(INSTALL) -m 644 $(FILTERS:%=$(BUILD)/man/%.1) "$$share/man/man1"
	$(INSTALL) -m 644 $(FILTERS:%=$(BUILD)/completion/%) "$$share/bash-completion/completions"

# Debian and Ubuntu packages; gcc and pkg-config count as there when the commands are.
PACKAGES := libc6-dev libtiff-dev libpng-dev libjpeg-dev zlib1g-dev libnifti2-dev libmatio-dev \
            libcjson-dev libzip-dev libopenblas-dev liblapacke-dev libcmocka-dev
COMMANDS := gcc pkg-config bats

.PHONY: deps
deps: ## install the missing Debian packages, or say how
	@if ! command -v dpkg-query > /dev/null; then exit 0; fi
	installed=$$(dpkg-query -W -f '$${Package} $${Status}\n' $(PACKAGES) 2> /dev/null || true)
	missing=
	for package in $(PACKAGES); do
	    grep -q "^$$package install ok installed" <<< "$$installed" || missing+=" $$package"
	done
	for command in $(COMMANDS); do
	    command -v $$command > /dev/null || missing+=" $$command"
	done
	if [ -z "$$missing" ]; then exit 0; fi
	echo "missing packages:$$missing"
	root=
	if [ "$$(id -u)" != 0 ]; then root=sudo; fi
	apt="env DEBIAN_FRONTEND=noninteractive apt-get"
	if command -v $${root:-env} apt-get > /dev/null && $$root $$apt update &&
	   $$root $$apt install -y --no-install-recommends $$missing; then exit 0; fi
	echo "could not install them; the command, for root:" >&2
	echo "    apt-get update && apt-get install$$missing" >&2
	exit 1

.PHONY: clean
clean: ## remove everything that was built
	rm -rf build build-sanitize build-debug build-fuzz bin

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 18
