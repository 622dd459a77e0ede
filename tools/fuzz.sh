#!/bin/sh
# Runs every fuzz target of a build folder for some seconds. usage: tools/fuzz.sh BUILD [SECONDS]
# A target that fails leaves its input in BUILD/fuzz/NAME.crash.
set -u
build=$1
seconds=${2:-5}
cmake --build "$build" --target fuzz || exit 1
TMPDIR=$(mktemp -d) || exit 1
export TMPDIR ASAN_OPTIONS=allocator_may_return_null=1
trap 'rm -rf "$TMPDIR"' EXIT
bad=0
for source in tests/fuzz/fuzz_*.c; do
    target=$(basename "$source" .c)
    name=${target#fuzz_}
    printf 'fuzz %s: ' "$name"
    if ! "$build/fuzz/$target" "$seconds" "tests/fuzz/seeds/$name" 2>"$TMPDIR/log"; then
        cat "$TMPDIR/log"
        find "$TMPDIR" -maxdepth 1 -name 'attend-fuzz-*' -type f -exec cp {} "$build/fuzz/$name.crash" \;
        echo "fuzz $name: FAILED; its input is in $build/fuzz/$name.crash"
        bad=1
    fi
    find "$TMPDIR" -mindepth 1 -delete
done
exit $bad
