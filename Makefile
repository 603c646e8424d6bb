# stacker: `make help` lists the targets. One non-recursive Makefile; objects live in build/$(MODE)/.

VERSION := 0.1.0
# The date in the man pages: of the version, not of the build.
RELEASE_EPOCH := 1795478400
MODE ?= release
BUILD ?= build
PREFIX ?= /usr/local
CC ?= cc
PKG_CONFIG ?= pkg-config
# Seconds for each fuzz target of `make fuzz`.
TIME ?= 30
# Which modules to build; narrowing it lets one module be worked on while another is broken.
MODULES ?= util recipe inputs sandbox image build verify api cli

OUT := $(BUILD)/$(MODE)
PACKAGES := libseccomp libcap libarchive libcrypto yaml-0.1 libcurl jansson zlib libzstd liblzma

# Debian packages: to build, to run the demo and the tests, and for `make lint fuzz format-check bench`.
BUILD_DEBS := gcc make pkg-config libc6-dev libseccomp-dev libcap-dev libarchive-dev libssl-dev \
	libyaml-dev libcurl4-openssl-dev libjansson-dev zlib1g-dev libzstd-dev liblzma-dev scdoc
RUN_DEBS := uidmap ca-certificates squashfs-tools-ng erofs-utils
TEST_DEBS := libcmocka-dev bats skopeo umoci jq python3 python3-jsonschema python3-yaml busybox-static procps openssl bzip2 xz-utils zstd zip passwd util-linux libdeflate-dev \
	cryptsetup-bin apache2-utils docker-registry zsh squashfs-tools
DEV_DEBS := clang libclang-rt-14-dev clang-format clang-tidy cppcheck shellcheck bubblewrap \
	qemu-user-static gcc-aarch64-linux-gnu gcc-s390x-linux-gnu e2fsprogs xfsprogs btrfs-progs faketime \
	buildah mmdebstrap pigz

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla \
	-Wformat=2 -Wundef -Wcast-qual -Wswitch-enum -Wno-sign-conversion -Werror
HARDEN := -fstack-protector-strong -fstack-clash-protection -fPIE
LINK_HARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack

MODE_CFLAGS.release := -O2 -D_FORTIFY_SOURCE=2
# Without optimisation gcc does not see that BUG_IF(true) never returns where a cleanup follows.
MODE_CFLAGS.debug := -O0 -g3 -Wno-return-type
MODE_CFLAGS.asan := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
MODE_CFLAGS.fuzz := -O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-omit-frame-pointer
# gcov's own fork and exec would empty the counters, which are shared here, or write files in a step.
MODE_CFLAGS.cov := -O0 -g --coverage -fdata-sections -Wno-return-type $(addprefix -fno-builtin-,fork execl execle execlp execv execve execvp)
MODE_LDFLAGS.asan := -fsanitize=address,undefined
MODE_LDFLAGS.fuzz := -fsanitize=address,undefined
MODE_LDFLAGS.cov := --coverage -Wl,-u,util_cov_share -Wl,-T,tests/lib/cov.ld
ifeq ($(MODE),fuzz)
CC := clang
endif
ifeq ($(filter $(MODE),release debug asan fuzz cov),)
$(error MODE=$(MODE) is not one of release, debug, asan, fuzz, cov)
endif

# Goals that need no compiler, or that install it first, must work on a bare machine.
NO_COMPILE_GOALS := deps deps-dev help clean demo check security toolchains vectors-variants vectors-cross invariance asan fuzz cov bench bench-image bench-registry check-layers format-check uninstall
ifneq ($(filter-out $(NO_COMPILE_GOALS),$(or $(MAKECMDGOALS),all)),)
PKG_MISSING := $(shell $(PKG_CONFIG) --print-errors --exists $(PACKAGES) 2>&1 || echo missing)
ifneq ($(PKG_MISSING),)
$(error libraries are missing ($(PKG_MISSING)); run 'make deps', which installs their Debian packages: $(BUILD_DEBS))
endif
PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES))
endif

OUR_CPPFLAGS := -Isrc -Iinclude -D_GNU_SOURCE -DSTACKER_VERSION='"$(VERSION)"'
OUR_CFLAGS := -std=gnu11 $(WARNINGS) $(HARDEN) $(MODE_CFLAGS.$(MODE)) \
	-ffile-prefix-map='$(CURDIR)=.' -include util/banned.h $(PKG_CFLAGS)
OUR_LDFLAGS := $(LINK_HARDEN) $(MODE_LDFLAGS.$(MODE))
COMPILE = $(CC) $(OUR_CPPFLAGS) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) -MMD -MP

SOURCES := $(sort $(foreach m,$(MODULES),$(wildcard src/$(m)/*.c)))
ifneq ($(MODE),cov)
SOURCES := $(filter-out src/util/cov_share.c,$(SOURCES))
endif
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
SEC_SOURCES := $(sort $(wildcard tests/security/sec_*.c))
SEC_BINARIES := $(SEC_SOURCES:tests/security/%.c=$(OUT)/security/%)
PROBE_SOURCES := $(sort $(wildcard tests/probes/*.c))
PROBE_BINARIES := $(PROBE_SOURCES:tests/probes/%.c=$(BUILD)/probes/%)
MAN_SOURCES := $(sort $(wildcard docs/*.[1-9].scd))
MAN_PAGES := $(MAN_SOURCES:docs/%.scd=$(BUILD)/man/%)
# A command without a page in docs/ has one made from its --help.
COMMANDS := $(shell sed -n 's/^\t&command_\([a-z_]*\),/\1/p' src/cli/commands.c | tr _ -)
COMMAND_PAGES := $(filter-out $(MAN_PAGES),$(COMMANDS:%=$(BUILD)/man/stacker-%.1))
COMPLETIONS := $(BUILD)/completion/stacker $(BUILD)/completion/_stacker
ALL_PAGES := $(MAN_PAGES) $(COMMAND_PAGES)
EXAMPLES := $(sort $(wildcard examples/*/*))

# `make V=1` shows whole commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-5s %s\n' $(1) '$(2)')

JOBS := $(shell nproc 2>/dev/null || echo 1)

.PHONY: all
all: $(BUILD)/stacker ## build build/stacker (default)

# Compared, not dated: another MODE may have left its own program here.
$(BUILD)/stacker: $(OUT)/stacker FORCE
	@cmp -s $< $@ || { cp -f $< $@.new && mv -f $@.new $@; }

$(OUT)/stacker: $(MAIN_OBJECT) $(LIB)
	$(call say,LINK,$@)
	$(Q)$(CC) $(OUR_CFLAGS) $(CFLAGS) $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $^ $(PKG_LIBS) $(LDLIBS)

$(LIB): $(LIB_OBJECTS)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(AR) rcsD $@ $^

# The stamp changes when the flags do, so that objects of other flags are never linked together.
$(OUT)/flags: FORCE
	@mkdir -p $(OUT)
	@echo '$(subst ','\'',$(COMPILE) $(OUR_LDFLAGS) $(LDFLAGS))' | cmp -s - $@ || \
		echo '$(subst ','\'',$(COMPILE) $(OUR_LDFLAGS) $(LDFLAGS))' > $@
.PHONY: FORCE
FORCE:

$(OUT)/%.o: src/%.c $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(COMPILE) -c -o $@ $<

$(OUT)/%.o: src/%.S $(OUT)/flags $(POLICY)
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) -I. $(CPPFLAGS) -c -o $@ $<

$(OUT)/tests/%: tests/unit/%.c $(LIB) $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,TEST,$<)
	$(Q)$(COMPILE) -Itests/unit -Wno-missing-prototypes $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $< $(LIB) \
		$(PKG_LIBS) -lcmocka $(LDLIBS)

$(OUT)/fuzz/%: tests/fuzz/%.c $(LIB) $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(Q)$(COMPILE) -Itests/fuzz -Wno-missing-prototypes -fsanitize=fuzzer $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $< \
		$(LIB) $(PKG_LIBS) $(LDLIBS)

# A second opinion on what the DEFLATE encoder writes; nothing else needs it.
$(OUT)/fuzz/fuzz_deflate $(OUT)/replay/fuzz_deflate: PKG_LIBS += -ldeflate

# Every corpus is replayed in every test run, without the fuzzing engine.
$(OUT)/replay/%: tests/fuzz/%.c tests/fuzz/replay_main.c $(LIB) $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(Q)$(COMPILE) -Itests/fuzz -Wno-missing-prototypes $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $< \
		tests/fuzz/replay_main.c $(LIB) $(PKG_LIBS) $(LDLIBS)

# What a test puts into a sandbox to look around there: static, since the sandbox has no libraries.
$(BUILD)/probes/%: tests/probes/%.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -static -o $@ $<

# What the security tests run: beside stacker, linked with its modules; or, if *_static, inside a step.
$(OUT)/security/%_static: tests/security/%_static.c $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,SEC,$<)
	$(Q)$(CC) -std=gnu11 -D_GNU_SOURCE -O1 -Wall -Wextra -Werror -MMD -MP -static -o $@ $<

$(OUT)/security/%: tests/security/%.c $(LIB) $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,SEC,$<)
	$(Q)$(COMPILE) -Itests/security -Wno-missing-prototypes $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $< $(LIB) \
		$(PKG_LIBS) $(LDLIBS)

$(OUT)/bench/%: tests/bench/%.c $(LIB) $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,BENCH,$<)
	$(Q)$(COMPILE) -Wno-missing-prototypes $(OUR_LDFLAGS) $(LDFLAGS) -o $@ $< $(LIB) $(PKG_LIBS) $(LDLIBS)

# stacker with switches that take protections away, for the ablations of the security tests: the
# released objects, with functions replaced by the linker. The released program has no switch.
ABLATED := policy_load seccomp_program_install seccomp_program_install_watched guard_install \
	caps_restrict init_main
$(OUT)/stacker-ablate: tests/security/ablate.c $(MAIN_OBJECT) $(LIB) $(OUT)/flags
	$(call say,LINK,$@)
	$(Q)$(COMPILE) -Wno-missing-prototypes $(OUR_LDFLAGS) $(LDFLAGS) $(ABLATED:%=-Wl,--wrap=%) -o $@ $< \
		$(MAIN_OBJECT) $(LIB) $(PKG_LIBS) $(LDLIBS)

$(BUILD)/man/%: docs/%.scd
	@mkdir -p $(@D)
	$(call say,MAN,$<)
	$(Q)SOURCE_DATE_EPOCH=$(RELEASE_EPOCH) scdoc < $< > $@.new && mv -f $@.new $@

.PHONY: deps deps-dev
deps: ## install the Debian packages that building, demo and tests need
	@./.ci/deps.sh $(BUILD_DEBS) $(RUN_DEBS) $(TEST_DEBS)
deps-dev: ## also install what lint, fuzz, format-check and bench need
	@./.ci/deps.sh $(BUILD_DEBS) $(RUN_DEBS) $(TEST_DEBS) $(DEV_DEBS)

# Both install what they need first, and only then look for it: hence the second make.
.PHONY: demo check
demo: deps ## build GNU hello from pinned inputs, run it, verify it
	@+$(MAKE) --no-print-directory -j$(JOBS) all
	@STACKER=$(BUILD)/stacker ./examples/hello/demo.sh $(BUILD)/demo
check: deps ## run all tests
	@+MAKE='$(MAKE)' BUILD='$(BUILD)' JOBS=$(JOBS) ./tests/lib/run_all.sh release

.PHONY: asan
asan: deps ## run all tests against a stacker built with ASan and UBSan
	@+MAKE='$(MAKE)' BUILD='$(BUILD)' JOBS=$(JOBS) ./tests/lib/run_all.sh asan

# SECURITY_AREAS narrows it to some of the scripts in tests/security; FOREIGN_PROBE is a program to run
# in a step, see tests/security/README.md.
.PHONY: security security-binaries
security: deps ## run the attack catalogue, a line a row
	@+$(MAKE) --no-print-directory -j$(JOBS) MODE=release security-binaries
	@BUILD='$(BUILD)' ./tests/security/run.sh $(SECURITY_AREAS)
security-binaries: $(OUT)/stacker $(OUT)/stacker-ablate $(SEC_BINARIES)

# Downloads 500 MB once and writes some GB: no part of `check`. TOOLCHAINS narrows it; RECORD=1: see
# tests/toolchains/run.sh.
.PHONY: toolchains
toolchains: deps ## install Debian by dpkg, build a project of each toolchain, in steps
	@+$(MAKE) --no-print-directory -j$(JOBS) MODE=release all $(BUILD)/release/security/sec_recorder
	@STACKER='$(BUILD)/stacker' RECORDER='$(BUILD)/release/security/sec_recorder' \
		./tests/toolchains/run.sh '$(BUILD)' $(TOOLCHAINS)

.PHONY: unit unit-binaries
unit-binaries: $(UNIT_BINARIES)
unit: $(UNIT_BINARIES) ## build and run the unit tests
	@failed=0; for t in $(UNIT_BINARIES); do CMOCKA_MESSAGE_OUTPUT=tap $$t || failed=1; done; exit $$failed

.PHONY: replay replay-binaries
replay-binaries: $(REPLAY_BINARIES)
replay: $(REPLAY_BINARIES) ## replay the fuzz corpora (best with MODE=asan)
	@./tests/lib/replay.sh $(REPLAY_BINARIES)

# The slow ones take a minute and 21 MB. Trees with owners and devices: as root.
VECTOR_TESTS := $(filter %_vectors,$(UNIT_BINARIES))
.PHONY: vectors vectors-variants vectors-cross
vectors: $(VECTOR_TESTS) ## check all golden vectors, also the slow ones
	@python3 tests/lib/format1_check.py vectors/format-1 slow
	@failed=0; for t in $(VECTOR_TESTS); do CMOCKA_MESSAGE_OUTPUT=tap $$t slow || failed=1; done; exit $$failed
vectors-variants: deps-dev ## check them with gcc and clang, -O0 and -O3, and sanitizers
	@MAKE='$(MAKE)' ./tests/lib/vectors.sh '$(BUILD)' variants
vectors-cross: deps-dev ## check them compiled for arm64 and s390x (big-endian), emulated
	@MAKE='$(MAKE)' ./tests/lib/vectors.sh '$(BUILD)' cross arm64 s390x

# 20 minutes: builds stacker five times, and GNU hello in every cell.
.PHONY: invariance
invariance: deps-dev demo ## build the examples under all pairs of conditions; one digest each
	@MAKE='$(MAKE)' ./tests/invariance/run.sh '$(BUILD)'

.PHONY: cli-tools
cli-tools: $(OUT)/stacker $(PROBE_BINARIES)

.PHONY: fuzz fuzz-run
fuzz: deps-dev ## run every fuzz target for TIME seconds (30)
	@+$(MAKE) --no-print-directory MODE=fuzz -j$(JOBS) fuzz-run
fuzz-run: $(FUZZ_BINARIES)
	@./tests/lib/fuzz.sh $(TIME) $(BUILD) $(FUZZ_BINARIES)

COV_LEAST ?= 85
COV_MODULES := util recipe inputs sandbox image
.PHONY: cov cov-run
cov: deps ## report line coverage of parsers, unpacker and sandbox; fails below COV_LEAST (85) percent
	@+$(MAKE) --no-print-directory MODE=cov MODULES='$(COV_MODULES)' -j$(JOBS) unit-binaries replay-binaries
	@+$(MAKE) --no-print-directory MODE=cov MODULES='$(COV_MODULES)' cov-run
cov-run:
	@./tests/lib/cov.sh $(OUT) $(COV_LEAST)

.PHONY: bench bench-image
bench: deps-dev ## measure builds, steps, packing and unpacking beside peers; as root, ten minutes and 12 GB
	@+$(MAKE) --no-print-directory -j$(JOBS) all $(OUT)/bench/bench_step $(OUT)/stacker-ablate
	@+test -e $(BUILD)/demo/oci/index.json || $(MAKE) --no-print-directory demo
	@STACKER=$(BUILD)/stacker BENCH_STEP=$(OUT)/bench/bench_step \
		ABLATED=$(OUT)/stacker-ablate ./tests/bench/run.sh $(BUILD)
	@+$(MAKE) --no-print-directory bench-image
bench-image: deps-dev ## the part of bench that packs, unpacks and builds a Debian root file system
	@+$(MAKE) --no-print-directory -j$(JOBS) all $(OUT)/bench/bench_image
	@mkdir -p $(BUILD)/bench
	@./tests/bench/image.py $(BUILD)/stacker $(OUT)/bench/bench_image $(BUILD)/bench/image-work \
		$(BUILD)/bench/image.json

.PHONY: bench-registry
bench-registry: deps-dev ## pull and push 1 GiB from and to a registry on loopback, beside skopeo
	@+$(MAKE) --no-print-directory -j$(JOBS) all
	@./tests/bench/registry.sh $(BUILD)/stacker

.PHONY: check-layers
check-layers: ## check which module includes which
	@./tests/lib/check_layers.sh src

C_FILES := $(sort $(wildcard src/*/*.[ch] include/stacker/*.h tests/unit/*.[ch] tests/fuzz/*.[ch] tests/probes/*.c \
	tests/security/*.[ch] tests/bench/*.c tests/lib/*.c))
.PHONY: format-check lint
format-check: ## check that clang-format would change nothing
	@clang-format --dry-run --Werror $(C_FILES)
lint: compile_commands.json ## run clang-tidy, cppcheck and shellcheck, whichever are installed
	@./tests/lib/lint.sh $(SOURCES)

# For editors and clang-tidy; written from what make knows, with no tool that watches a build.
compile_commands.json: $(OUT)/flags $(SOURCES) ## write the compilation database
	@sep='['; for source in $(SOURCES); do \
		printf '%s\n{"directory": "%s", "file": "%s", "command": "%s -c %s"}' "$$sep" '$(CURDIR)' "$$source" \
			'$(subst ','\'',$(subst ",\",$(subst \,\\,$(COMPILE))))' "$$source"; sep=','; \
	done > $@.new; printf '\n]\n' >> $@.new; mv -f $@.new $@

.PHONY: install uninstall
$(COMMAND_PAGES): $(BUILD)/man/stacker-%.1: $(OUT)/stacker
	@mkdir -p $(@D)
	$(call say,MAN,$@)
	$(Q)$< manual $* > $@.scd && SOURCE_DATE_EPOCH=$(RELEASE_EPOCH) scdoc < $@.scd > $@.new && mv -f $@.new $@

$(BUILD)/completion/stacker: $(OUT)/stacker
	@mkdir -p $(@D)
	$(Q)$< completion bash > $@.new && mv -f $@.new $@
$(BUILD)/completion/_stacker: $(OUT)/stacker
	@mkdir -p $(@D)
	$(Q)$< completion zsh > $@.new && mv -f $@.new $@

install: all $(ALL_PAGES) $(COMPLETIONS) ## install program, man pages, completions and examples below DESTDIR/PREFIX
	install -D -m 0755 $(BUILD)/stacker '$(DESTDIR)$(PREFIX)/bin/stacker'
	install -D -m 0644 $(BUILD)/completion/stacker '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/stacker'
	install -D -m 0644 $(BUILD)/completion/_stacker '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_stacker'
	@set -e; for page in $(ALL_PAGES); do \
		install -v -D -m 0644 "$$page" '$(DESTDIR)$(PREFIX)/share/man'/man"$${page##*.}/$${page##*/}"; \
	done
	@set -e; for file in $(EXAMPLES); do \
		if [ -x "$$file" ]; then mode=0755; else mode=0644; fi; \
		install -v -D -m $$mode "$$file" '$(DESTDIR)$(PREFIX)/share/doc/stacker'/"$$file"; \
	done
uninstall: ## remove what install put there
	rm -f '$(DESTDIR)$(PREFIX)/bin/stacker'
	rm -f '$(DESTDIR)$(PREFIX)/share/bash-completion/completions/stacker' '$(DESTDIR)$(PREFIX)/share/zsh/site-functions/_stacker'
	@for page in $(ALL_PAGES); do rm -fv '$(DESTDIR)$(PREFIX)/share/man'/man"$${page##*.}/$${page##*/}"; done
	@for file in $(EXAMPLES); do rm -fv '$(DESTDIR)$(PREFIX)/share/doc/stacker'/"$$file"; done
	@find '$(DESTDIR)$(PREFIX)/share/doc/stacker' -depth -type d -empty -delete 2>/dev/null || true

# The demo's trees may hold directories of subordinate ids, which only a user namespace can empty.
.PHONY: clean
clean: ## remove build/
	rm -rf '$(BUILD)' compile_commands.json || \
		unshare --map-root-user --map-auto rm -rf '$(BUILD)' compile_commands.json

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z_.-]+:.*## / { printf "  %-22s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo '  MODE=release|debug|asan|fuzz|cov  CC  CFLAGS  LDFLAGS  PREFIX  DESTDIR  BUILD  TIME  V=1'

-include $(LIB_OBJECTS:.o=.d) $(MAIN_OBJECT:.o=.d) $(UNIT_BINARIES:=.d) $(FUZZ_BINARIES:=.d) $(REPLAY_BINARIES:=.d) \
	$(SEC_BINARIES:=.d) $(OUT)/stacker-ablate.d
