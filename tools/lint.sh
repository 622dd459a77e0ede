#!/bin/sh
# All that `make lint` checks. Every check runs, so that one run shows all there is to mend.
set -u
cd "$(dirname "$0")/.." || exit 1
build=build-lint
bad=0

step() {
    echo "lint: $1"
    shift
    "$@" || bad=1
}

format_check() {
    find src tests include bench -name '*.[ch]' -print0 | xargs -0 clang-format --dry-run -Werror
}

# The kernels of src/kernel/simd are in the database once a level; the first entry is looked at.
tidy_check() {
    cmake -S . -B "$build" -G Ninja -DCMAKE_C_COMPILER=clang >/dev/null || return 1
    find src -name '*.c' -not -path 'src/kernel/simd/*' -print0 |
        xargs -0 -n 4 -P "$(getconf _NPROCESSORS_ONLN)" clang-tidy -p "$build" --quiet 2>"$build/tidy.log"
    ended=$?
    grep -E 'error:' "$build/tidy.log"
    return $ended
}

step "layers" tools/lint_layers.sh
step "lengths, words, heads" python3 tools/lint_text.py
step "format" format_check
step "clang-tidy" tidy_check
if [ $bad = 0 ]; then
    echo "lint: clean"
fi
exit $bad
