# Thin doors on CMake and Ninja. `make demo` and `make test` are all a visitor needs.
BUILD ?= build
PREFIX ?= /usr/local
MODEL ?= models/tatoeba-en-zh
SENTENCE ?= Tom chases Jerry.
# More for tools/bench.py, such as BENCH=--quick
BENCH ?=

.PHONY: all build configure program setup setup-lint demo test lint format bench install clean

all: build

setup:
	@tools/setup.sh build

setup-lint:
	@tools/setup.sh lint

configure: setup
	@test -f $(BUILD)/build.ninja || cmake -S . -B $(BUILD) -G Ninja

build: configure
	@cmake --build $(BUILD)

program: configure
	@cmake --build $(BUILD) --target attend

demo: program
	@echo '$$ attend translate --model $(MODEL) "$(SENTENCE)"'
	@$(BUILD)/attend translate --model $(MODEL) "$(SENTENCE)"
	@echo '$$ attend show --model $(MODEL) "$(SENTENCE)"'
	@$(BUILD)/attend show --model $(MODEL) "$(SENTENCE)"

test: build
	@tools/test.sh $(BUILD)

lint: setup-lint
	@tools/lint.sh

format: setup-lint
	@find src tests include bench -name '*.[ch]' -exec clang-format -i {} +

bench: build
	@tools/bench.py $(BUILD) --write $(BENCH)

install: build
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	@rm -rf $(BUILD)
