#!/usr/bin/env bash
# attend-conformance on cases of our own (tools/golden_conformance.py), on every kernel set; and that it can fail.
set -u
program=$AT_BUILD_DIR/attend-conformance
cases=$AT_SOURCE_DIR/tests/data/conformance
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
bad=0

# expect NAME WANT_STATUS WANT_TEXT COMMAND…
expect() {
    local name=$1 want=$2 text=$3 got
    shift 3
    "$@" >"$work/out" 2>&1
    got=$?
    if [ "$got" != "$want" ] || ! grep -qF -- "$text" "$work/out"; then
        echo "$name: exit $got, want $want and '$text':"
        tail -5 "$work/out"
        bad=1
    fi
}

# copy CASE: alone in the folder $work/one
copy() {
    rm -rf "$work/one"
    mkdir -p "$work/one/within"
    cp "$cases/$1.safetensors" "$work/one/within/"
    one=$work/one/within/$1.safetensors
}

# The last number of a file is the last of its expected values; 4 bytes of it become these.
spoil() {
    printf "$2" | dd of="$1" bs=1 seek=$(($(wc -c <"$1") - 4)) conv=notrunc status=none
}

count=$(find "$cases" -name '*.safetensors' | wc -l)
expect "the best kernels" 0 "$count passed, 0 failed" "$program" "$cases"
expect "the reference" 0 "$count passed, 0 failed" env ATTEND_KERNELS=ref "$program" "$cases"

for name in attention_mask_rank4_batch layer_norm_axis_1 gelu_exact loss_none_log_prob rotary_3d softmax_axis_0 \
    gru_reset_before lstm_peepholes; do
    copy $name
    spoil "$one" '\000\000\240\100' # 5
    expect "$name with a wrong number" 1 "want 5 (allowed" "$program" "$work/one"
    expect "$name with a wrong number" 1 "0 passed, 1 failed" "$program" "$work/one"
    spoil "$one" '\000\000\300\177' # NaN
    expect "$name with a NaN" 1 "want nan" "$program" "$work/one"
done
copy attention_bf16
spoil "$one" '\200\077\200\077' # two ones
expect "bf16 with wrong numbers" 1 "0 passed, 1 failed" "$program" "$work/one"

copy gelu_exact
LC_ALL=C sed -i 's/"Gelu"/"Gelv"/' "$one"
expect "an unknown operator" 1 "operator Gelv is not known here" "$program" "$work/one"
copy gelu_exact
LC_ALL=C sed -i 's/approximate/approximata/' "$one"
expect "an unknown attribute" 1 "attribute 'approximata' is not known here" "$program" "$work/one"
copy gelu_exact
LC_ALL=C sed -i 's/out\.0"/out.7"/' "$one"
expect "a missing output" 1 "out.0 (out0) is missing" "$program" "$work/one"
copy gelu_exact
LC_ALL=C sed -i 's/"shape": \[3, 5\]/"shape": [5, 3]/' "$one"
expect "another shape" 1 "output 0: want (3,5), got (5,3)" "$program" "$work/one"
copy gelu_exact
head -c 100 "$cases/gelu_exact.safetensors" >"$one"
expect "a truncated file" 1 "0 passed, 1 failed" "$program" "$work/one"

rm -rf "$work/one" && mkdir "$work/one"
expect "an empty folder" 1 "no case *.safetensors in it" "$program" "$work/one"
expect "no folder" 1 "cannot be read as a folder" "$program" "$work/nowhere"
expect "no argument" 2 "usage: attend-conformance DIR" "$program"
exit $bad
