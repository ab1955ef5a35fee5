# Atelier: see `make help`. Non-recursive; a source file is found by the folder it lies in.

VERSION := 0.1

PREFIX ?= /usr/local
DESTDIR ?=
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif
FUZZ_CC ?= clang
CFLAGS ?= -O2 -g
SANITIZER ?=
J ?= 2

# ------------------------------------------------------------------ where things go

comma := ,
BUILD := build/$(if $(SANITIZER),sanitized-$(subst $(comma),-,$(SANITIZER)),plain)

unitdir := $(PREFIX)/lib/systemd/system
daemondir := $(PREFIX)/lib/atelier
bindir := $(PREFIX)/bin
sysusersdir := $(PREFIX)/lib/sysusers.d
tmpfilesdir := $(PREFIX)/lib/tmpfiles.d
catalogdir := $(PREFIX)/lib/systemd/catalog
mandir := $(PREFIX)/share/man
confdir := /etc/atelier

# ------------------------------------------------------------------ flags

daemons := api worker scheduler alerter
programs := $(daemons:%=$(BUILD)/atelier-%) $(BUILD)/atelierctl

# What each program is linked with, so that each maps only what it needs.
LIBS_common := -lsystemd -lcjson -lconfig -lcrypto -lm -pthread
LIBS_api := -lmicrohttpd -lgnutls
LIBS_worker := -lcurl -lsqlite3 -lpng -lz -lunistring
LIBS_scheduler := -larchive -lzstd
LIBS_alerter := -lcurl
LIBS_ctl :=

hardening := -fstack-protector-strong -fPIE $(if $(SANITIZER),,-D_FORTIFY_SOURCE=2)
warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
            -Wpointer-arith -Wwrite-strings -Wno-missing-field-initializers $(if $(WERROR),-Werror)
sanitize := $(if $(SANITIZER),-fsanitize=$(SANITIZER) -fno-omit-frame-pointer -fno-sanitize-recover=all)

all_cflags = -std=gnu11 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DATELIER_VERSION='"$(VERSION)"' \
             -Ilibshared -MMD -MP $(warnings) $(hardening) $(sanitize) $(CFLAGS)
all_ldflags = -pie -Wl,-z,relro,-z,now,--as-needed,--gc-sections $(sanitize) $(LDFLAGS)

ifeq ($(V),1)
say = @:
q :=
else
say = @printf '  %-5s %s\n'
q := @
endif

# ------------------------------------------------------------------ what there is

find_c = $(sort $(shell find $(1) -name '*.c' 2>/dev/null))
objects = $(patsubst %.c,$(BUILD)/%.o,$(1))

shared_sources := $(call find_c,libshared)
$(foreach d,$(daemons) ctl,$(eval $(d)_sources := $(filter-out daemons/$(d)/main.c,$(call find_c,daemons/$(d)))))

shared_library := $(BUILD)/libatelier.a
daemon_library = $(BUILD)/lib$(1).a

unit_sources := $(wildcard tests/unit/test-*.c)
unit_tests := $(unit_sources:%.c=$(BUILD)/%)
fuzz_sources := $(wildcard tests/fuzz/fuzz-*.c)
fuzz_replays := $(fuzz_sources:%.c=$(BUILD)/%)
fuzz_programs := $(fuzz_sources:tests/fuzz/%.c=$(BUILD)/fuzz/%)

.PHONY: all
all: $(programs) ## Build the daemons and atelierctl (V=1 shows the commands, SANITIZER=address,undefined)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(say) CC $<
	$(q)$(CC) $(all_cflags) $(if $(filter daemons/%,$<),-I$(word 1,$(subst /, ,$<))/$(word 2,$(subst /, ,$<))) -c $< -o $@

$(BUILD)/libshared/interfaces/interfaces.o: $(wildcard libshared/interfaces/*.varlink)

# A library is made anew, so that the object of a deleted file does not linger in it.
define archive
	@rm -f $@
	$(say) AR $@
	$(q)$(AR) rcs $@ $^
endef

$(shared_library): $(call objects,$(shared_sources))
	$(archive)

define program_rules
$(call daemon_library,$(1)): $(call objects,$($(1)_sources))
	$$(archive)

$(2): $(call objects,daemons/$(1)/main.c) $(call daemon_library,$(1)) $(shared_library)
	$$(say) LD $$@
	$$(q)$$(CC) $$(all_ldflags) $$^ $(LIBS_$(1)) $(LIBS_common) -o $$@
endef
$(foreach d,$(daemons),$(eval $(call program_rules,$(d),$(BUILD)/atelier-$(d))))
$(eval $(call program_rules,ctl,$(BUILD)/atelierctl))

# ------------------------------------------------------------------ installing

.PHONY: install
install: all ## Install below DESTDIR and PREFIX (units, users, folders and an example configuration too)
	$(q)for d in $(daemons); do install -D -m 0755 $(BUILD)/atelier-$$d $(DESTDIR)$(daemondir)/atelier-$$d; done
	$(q)install -D -m 0755 $(BUILD)/atelierctl $(DESTDIR)$(bindir)/atelierctl
	$(q)install -d $(DESTDIR)$(unitdir) $(DESTDIR)$(confdir)/atelier.conf.d
	$(q)for u in $$(find units -type f -printf '%P '); do \
		install -D -m 0644 /dev/null $(DESTDIR)$(unitdir)/$$u; \
		sed -e 's|@daemondir@|$(daemondir)|g' -e 's|@bindir@|$(bindir)|g' units/$$u >$(DESTDIR)$(unitdir)/$$u; \
	done
	$(q)for m in docs/man/*; do install -D -m 0644 $$m $(DESTDIR)$(mandir)/man$${m##*.}/$${m##*/}; done
	$(q)install -D -m 0644 packaging/sysusers.conf $(DESTDIR)$(sysusersdir)/atelier.conf
	$(q)install -D -m 0644 packaging/tmpfiles.conf $(DESTDIR)$(tmpfilesdir)/atelier.conf
	$(q)install -D -m 0644 packaging/atelier.catalog $(DESTDIR)$(catalogdir)/atelier.catalog
	$(q)install -m 0644 etc/models.conf etc/prices.conf $(DESTDIR)$(confdir)/
	$(q)test -e $(DESTDIR)$(confdir)/atelier.conf || install -m 0644 etc/atelier.conf $(DESTDIR)$(confdir)/

# ------------------------------------------------------------------ trying

.PHONY: try shell
try: ## Install what is needed, build, boot the system in a container, make one image
	$(q)packaging/install-dependencies build try
	$(q)$(MAKE) --no-print-directory -j$(J) all
	$(q)tests/system/rig/try

shell: ## A shell inside the booted system
	$(q)packaging/install-dependencies build try
	$(q)$(MAKE) --no-print-directory -j$(J) all
	$(q)tests/system/rig/shell

# ------------------------------------------------------------------ testing

$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(foreach d,api worker scheduler alerter ctl,$(call daemon_library,$(d))) $(shared_library)
	$(say) LD $@
	$(q)$(CC) $(all_ldflags) $^ $(LIBS_api) $(LIBS_worker) $(LIBS_scheduler) $(LIBS_common) -lcmocka -o $@

# Test programs see the internals of every daemon. File names differ between them but for manager.h: the worker's counts.
$(BUILD)/tests/%.o: private CFLAGS += -Idaemons/worker -Idaemons/api -Idaemons/scheduler -Idaemons/alerter -Idaemons/ctl

$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(BUILD)/tests/fuzz/replay.o $(foreach d,api worker scheduler alerter,$(call daemon_library,$(d))) $(shared_library)
	$(say) LD $@
	$(q)$(CC) $(all_ldflags) $^ $(LIBS_api) $(LIBS_worker) $(LIBS_scheduler) $(LIBS_common) -o $@

.PHONY: check test-programs check-all
test-programs: all $(unit_tests) $(fuzz_replays)

check: ## Install what tests need, then run all of them; PATTERN= selects suites
	$(q)packaging/install-dependencies build try test
	$(q)$(MAKE) --no-print-directory -j$(J) WERROR=1 test-programs
	$(q)BUILD=$(BUILD) SANITIZER=$(SANITIZER) tests/check $(PATTERN)

check-all: ## check, with sanitizers, on Debian 13, and on a fresh minimal tree
	$(q)$(MAKE) --no-print-directory check
	$(q)$(MAKE) --no-print-directory check SANITIZER=address,undefined
	$(q)tests/debian-13/run
	$(q)tests/fresh-tree/run

.PHONY: bench fuzz fuzz-programs coverage
bench: ## Measure beside the peers and write the README's table
	$(q)packaging/install-dependencies build try bench
	$(q)$(MAKE) --no-print-directory -j$(J) all
	$(q)tests/bench/run

FUZZ_SECONDS ?= 60
$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(foreach d,api worker scheduler alerter,$(call daemon_library,$(d))) $(shared_library)
	@mkdir -p $(@D)
	$(say) LD $@
	$(q)$(CC) $(all_ldflags) -fsanitize=fuzzer $^ $(LIBS_api) $(LIBS_worker) $(LIBS_scheduler) $(LIBS_common) -o $@

fuzz-programs: $(fuzz_programs)

fuzz: ## Run each fuzz target FUZZ_SECONDS (60); TARGETS= selects by name
	$(q)packaging/install-dependencies build fuzz
	$(q)$(MAKE) --no-print-directory -j$(J) CC=$(FUZZ_CC) SANITIZER=fuzzer-no-link,address,undefined fuzz-programs
	$(q)tests/fuzz/run $(FUZZ_SECONDS) build/sanitized-fuzzer-no-link-address-undefined/fuzz $(TARGETS)

coverage: ## Line coverage of unit and integration tests, as text
	$(q)packaging/install-dependencies build test coverage
	$(q)tests/coverage

# ------------------------------------------------------------------ tidiness

c_files = $(shell git ls-files '*.c' '*.h')

.PHONY: format lint clean help
format: ## Lay out the C files by .clang-format
	$(q)clang-format -i $(c_files)

lint: ## Static checks: compiler warnings as errors, cppcheck, shellcheck
	$(q)packaging/install-dependencies build test lint
	$(q)$(MAKE) --no-print-directory -j$(J) WERROR=1 test-programs
	$(q)tests/lint

clean: ## Remove what was built
	$(q)rm -rf build out

help: ## Show this
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.SECONDARY:
