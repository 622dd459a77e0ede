#!/bin/sh
# Runs the tests of a build folder, prints what failed, and closes with "N passed, N failed":
# every cmocka case counts, and every shell test as one. Exit 0 only if none failed.
# usage: tools/test.sh [BUILD] [ctest options such as -R base]
set -u
build=${1:-build}
[ $# -gt 0 ] && shift
log=$build/Testing/cases.log
mkdir -p "$build/Testing"
jobs=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

ctest --test-dir "$build" --verbose -j "$jobs" --output-on-failure "$@" >"$log" 2>&1
ended=$?

# ctest puts "N: " before each line of test N; a test that fails without a failed case (a crash, a
# sanitizer's report, a shell test) counts as one.
awk -v ended="$ended" '
function close_test(id, ok,    failed) {
    failed = run[id] - good[id] - skipped[id]
    if (!ok && failed == 0)
        failed = 1
    if (ok && run[id] == 0)
        good[id] = 1
    passes += good[id]
    fails += failed
    if (!ok)
        printf "%s", text[id]
}
match($0, /^[0-9]+: /) {
    id = substr($0, 1, RLENGTH - 2) + 0
    text[id] = text[id] $0 "\n"
    if (index($0, "[ RUN      ]")) run[id]++
    if (index($0, "[       OK ]")) good[id]++
    if (index($0, "[  SKIPPED ] ") && !index($0, " test(s)") && !told[$0]++) skipped[id]++ # told again at the end
    next
}
/^ *[0-9]+\/[0-9]+ Test +#[0-9]+:/ {
    split($0, parts, "#")
    id = parts[2] + 0
    ok = $0 ~ / Passed +[0-9.]+ sec/
    if (!ok) printf "FAILED %s\n", $0
    close_test(id, ok)
    seen++
}
END {
    if (ended != 0 && fails == 0) fails = 1
    if (!seen) { print "no test was run"; if (!fails) fails = 1 }
    printf "%d passed, %d failed\n", passes, fails
    exit fails > 0
}' "$log"
