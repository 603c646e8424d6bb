# stacker: `make help` lists the targets. One non-recursive Makefile; objects live in build/$(MODE)/.

VERSION := 0.1.0
MODE ?= release
BUILD ?= build
PREFIX ?= /usr/local
CC ?= cc
PKG_CONFIG ?= pkg-config
# Which modules to build; narrowing it lets one module be worked on while another is broken.
MODULES ?= util recipe inputs sandbox image build verify attest cli

OUT := $(BUILD)/$(MODE)
PACKAGES := libseccomp libcap libarchive libcrypto yaml-0.1 libcurl jansson zlib libzstd

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wformat=2 -Wundef -Wcast-qual -Wswitch-enum -Wno-sign-conversion -Werror
HARDEN := -fstack-protector-strong -fstack-clash-protection -fPIE
LINK_HARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack

MODE_CFLAGS.release := -O2 -D_FORTIFY_SOURCE=2
MODE_CFLAGS.debug := -O0 -g3
MODE_CFLAGS.asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
MODE_CFLAGS.fuzz := -O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-omit-frame-pointer
MODE_CFLAGS.cov := -O0 -g --coverage
MODE_LDFLAGS.asan := -fsanitize=address,undefined
MODE_LDFLAGS.fuzz := -fsanitize=address,undefined
MODE_LDFLAGS.cov := --coverage
ifeq ($(MODE),fuzz)
CC := clang
endif
ifeq ($(filter $(MODE),release debug asan fuzz cov),)
$(error MODE=$(MODE) is not one of release, debug, asan, fuzz, cov)
endif

# Goals that need no compiler must work on a bare machine.
NO_COMPILE_GOALS := deps help clean demo check
ifneq ($(filter-out $(NO_COMPILE_GOALS),$(or $(MAKECMDGOALS),all)),)
PKG_MISSING := $(shell $(PKG_CONFIG) --print-errors --exists $(PACKAGES) 2>&1 || echo missing)
ifneq ($(PKG_MISSING),)
$(error libraries are missing ($(PKG_MISSING)); run 'make deps', which installs their Debian packages)
endif
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES))
endif

OUR_CPPFLAGS := -Isrc -Iinclude -D_GNU_SOURCE -DSTACKER_VERSION='"$(VERSION)"'
OUR_CFLAGS := -std=gnu11 $(WARNINGS) $(HARDEN) $(MODE_CFLAGS.$(MODE)) \
	-ffile-prefix-map=$(CURDIR)=. -include util/banned.h $(PKG_CFLAGS)
OUR_LDFLAGS := $(LINK_HARDEN) $(MODE_LDFLAGS.$(MODE))
COMPILE = $(CC) $(OUR_CPPFLAGS) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) -MMD -MP

SOURCES := $(sort $(foreach m,$(MODULES),$(wildcard src/$(m)/*.c)))
ASM_SOURCES := $(sort $(foreach m,$(MODULES),$(wildcard src/$(m)/*.S)))
LIB_SOURCES := $(filter-out src/cli/main.c,$(SOURCES))
LIB_OBJECTS := $(LIB_SOURCES:src/%.c=$(OUT)/%.o) $(ASM_SOURCES:src/%.S=$(OUT)/%.o)
MAIN_OBJECT := $(OUT)/cli/main.o
LIB := $(OUT)/libstacker.a
POLICY := $(sort $(wildcard policy/*.yaml))

UNIT_SOURCES := $(sort $(foreach m,$(MODULES),$(wildcard tests/unit/test_$(m)_*.c)))
UNIT_BINARIES := $(UNIT_SOURCES:tests/unit/%.c=$(OUT)/tests/%)
FUZZ_SOURCES := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BINARIES := $(FUZZ_SOURCES:tests/fuzz/%.c=$(OUT)/fuzz/%)
REPLAY_BINARIES := $(FUZZ_SOURCES:tests/fuzz/%.c=$(OUT)/replay/%)

.PHONY: all
all: $(BUILD)/stacker ## build build/stacker (default)

$(BUILD)/stacker: $(OUT)/stacker
	@cp -f $< $@.new && mv -f $@.new $@

$(OUT)/stacker: $(MAIN_OBJECT) $(LIB)
	$(CC) $(OUR_CFLAGS) $(CFLAGS) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(LDLIBS)

$(LIB): $(LIB_OBJECTS)
	@rm -f $@
	$(AR) rcsD $@ $^

# The stamp changes when the flags do, so that objects of other flags are never linked together.
$(OUT)/flags: FORCE
	@mkdir -p $(OUT)
	@echo '$(subst ','\'',$(COMPILE) $(OUR_LDFLAGS) $(LDFLAGS))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(COMPILE) $(OUR_LDFLAGS) $(LDFLAGS))' > $@
.PHONY: FORCE
FORCE:

$(OUT)/%.o: src/%.c $(OUT)/flags
	@mkdir -p $(@D)
	$(COMPILE) -c -o $@ $<

$(OUT)/%.o: src/%.S $(OUT)/flags $(POLICY)
	@mkdir -p $(@D)
	$(CC) -I. $(CPPFLAGS) -c -o $@ $<

$(OUT)/tests/%: tests/unit/%.c $(LIB) $(OUT)/flags
	@mkdir -p $(@D)
	$(COMPILE) -Itests/unit -Wno-missing-prototypes $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $< $(LIB) \
		$(PKG_LIBS) -lcmocka $(LDLIBS)

$(OUT)/fuzz/%: tests/fuzz/%.c $(LIB) $(OUT)/flags
	@mkdir -p $(@D)
	$(COMPILE) -Itests/fuzz -fsanitize=fuzzer $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(PKG_LIBS) $(LDLIBS)

# Every corpus is replayed in every test run, without the fuzzing engine.
$(OUT)/replay/%: tests/fuzz/%.c tests/fuzz/replay_main.c $(LIB) $(OUT)/flags
	@mkdir -p $(@D)
	$(COMPILE) -Itests/fuzz $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $< tests/fuzz/replay_main.c $(LIB) $(PKG_LIBS) $(LDLIBS)

.PHONY: unit
unit: $(UNIT_BINARIES) ## build and run the unit tests
	@set -e; for t in $(UNIT_BINARIES); do CMOCKA_MESSAGE_OUTPUT=tap $$t; done

-include $(LIB_OBJECTS:.o=.d) $(MAIN_OBJECT:.o=.d) $(UNIT_BINARIES:=.d) $(FUZZ_BINARIES:=.d)
