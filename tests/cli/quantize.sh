#!/bin/bash
# The position tables that Hugging Face's class wants in the file stay fp32.
# attend quantize and --weights: half the file, the same text from its numbers however they are kept, bad input.
attend=$1
. "$(dirname "$0")/common.sh"
need_model

size() {
    wc -c <"$1/model.safetensors"
}
run 0 quantize --out "$work/half" "$model"
holds [ "$(size "$work/half")" -lt $(($(size "$model") * 60 / 100)) ]
run 0 info --model "$work/half" --json
json "$work/out" 'd["type"] in ("BF16", "mixed")'

# In bf16 as they lie, or widened: the same bits, so the same text and scores, but for the set of kernels that rounds
# what matrices in bf16 are multiplied with.
run 0 info --json
wide_kernels=$(sed -n 's/.*"kernels": *"\([a-z0-9]*\)".*/\1/p' "$work/out" | sed 's/bf16$//')
holds [ -n "$wide_kernels" ]
for beam in 1 5; do
    ATTEND_KERNELS=$wide_kernels run 0 translate --model "$work/half" --beam $beam --scores <"$data/test.en"
    cp "$work/out" "$work/wide$beam"
    ATTEND_KERNELS=$wide_kernels run 0 translate --model "$work/half" --beam $beam --scores --weights fp32 <"$data/test.en"
    holds cmp -s "$work/out" "$work/wide$beam"
    run 0 translate --model "$work/half" --beam $beam --scores <"$data/test.en"
    cp "$work/out" "$work/first"
    for flags in "--weights bf16" "--batch 1" "--threads 3"; do
        # shellcheck disable=SC2086
        run 0 translate --model "$work/half" --beam $beam --scores $flags <"$data/test.en"
        holds cmp -s "$work/out" "$work/first"
    done
done

# Rounding costs the small model next to nothing; saved again in bf16 it is the same file.
run 0 translate --model "$model" --weights bf16 <"$data/test.en"
right=$(paste -d '\t' "$work/out" "$data/test.xx" | awk -F '\t' '$1 == $2' | wc -l)
holds [ "$right" -ge 38 ]
run 0 quantize --out "$work/again" "$work/half"
holds cmp -s "$work/half/model.safetensors" "$work/again/model.safetensors"
run 0 quantize --out "$work/wide" --type fp32 "$work/half"
ATTEND_KERNELS=$wide_kernels run 0 translate --model "$work/wide" --beam 5 --scores <"$data/test.en"
holds cmp -s "$work/out" "$work/wide5"

fails 2 "--out FOLDER" quantize "$model"
fails 2 "one model" quantize --out "$work/x"
fails 1 "no such folder" quantize --out "$work/x" "$work/nosuch"
fails 2 "bf16" quantize --out "$work/x" --type int3 "$model"
fails 2 "stored" translate --model "$model" --weights int3 "a"
holds [ ! -e "$work/x" ]

finish
