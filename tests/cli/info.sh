#!/bin/bash
# attend info, average, the program itself: what it says of itself and of models.
attend=$1
. "$(dirname "$0")/common.sh"
need_model

run 0 --version
holds grep -qE '^attend [0-9]+\.[0-9]+\.[0-9]+$' "$work/out"
run 0 --help
for command in train translate show eval tokenize average bench info; do
    has "$work/out" "  $command"
    run 0 "$command" --help
    has "$work/out" "usage: attend $command"
    has "$work/out" "--threads"
    has "$work/out" "examples"
    holds [ ! -s "$work/err" ]
    run 0 --help
done
fails 2 "did you mean 'translate'" translat
fails 2 "unknown command" frobnicate
checks=$((checks + 1))
"$attend" >"$work/out" 2>"$work/err"
[ $? = 2 ] && [ ! -s "$work/out" ] && has "$work/err" "usage: attend COMMAND" || complain "attend alone"

run 0 info
for word in cpu threads kernels jansson pcre2 utf8proc zlib compiler; do
    has "$work/out" "$word"
done
run 0 info --json --threads 3
json "$work/out" 'd["threads"] == 3 and d["kernels"] == d["usable_kernels"][0] and "ref" in d["usable_kernels"]'
json "$work/out" 'set(d["libraries"]) == {"jansson", "pcre2", "utf8proc", "zlib", "jpeg", "png"} and d["cores"] >= 1'
run 0 info --kernels ref
holds grep -qE '^kernels +ref$' "$work/out"
checks=$((checks + 1))
ATTEND_KERNELS=ref "$attend" info >"$work/out" 2>"$work/err" || complain "ATTEND_KERNELS=ref"
holds grep -qE '^kernels +ref$' "$work/out"
checks=$((checks + 1))
ATTEND_KERNELS=nosuch "$attend" info >"$work/out" 2>"$work/err"
[ $? = 1 ] && has "$work/err" "nosuch" || complain "ATTEND_KERNELS=nosuch is not refused"
fails 1 "ref" info --kernels fast

run 0 info "$model"
has "$work/out" "source en, target xx"
has "$work/out" "transformer"
run 0 info --model "$model" --json --check
json "$work/out" 'd["family"] == "transformer" and d["data"]["source"] == "en" and d["parameters"] > 10000'
json "$work/out" 'd["bytes"] > 4 * d["parameters"] and d["model"]["d_model"] == 32 and d["type"] == "F32"'
run 0 info "$model" --graph --svg "$work/chain.svg"
has "$work/out" "n → n×32"
has "$work/out" "looks at the last rows of: encoder"
has "$work/chain.svg" "decoder block"
run 0 info "$model" --json
total=$(sed -n 's/^ *"parameters": \([0-9]*\).*/\1/p' "$work/out")
run 0 info "$model" --graph --json
json "$work/out" 'sum(s["repeats"] * s["parameters"] for s in d) == '"$total"
fails 2 "FOLDER of a model" info --graph
fails 2 "give --graph too" info "$model" --svg "$work/chain.svg"
fails 1 "/dev/null/" info "$model" --graph --svg /dev/null/x.svg
fails 2 "one FOLDER" info "$model" "$model"
fails 1 "$work/nosuch" info "$work/nosuch"
fails 1 "$work" info "$work"
if [ -e /dev/full ]; then
    for words in "info" "info $model" "--help" "--version" "info --help" "info --json"; do
        checks=$((checks + 1))
        # shellcheck disable=SC2086
        "$attend" $words >/dev/full 2>"$work/err"
        [ $? = 1 ] && has "$work/err" "standard output" || complain "attend $words: a full disk is not told"
    done
fi

# The mean of a model with itself is that model; of two it lies between.
run 0 average --out "$work/same" "$model" "$model" "$model"
holds cmp -s "$work/same/model.safetensors" "$model/model.safetensors"
holds cmp -s "$work/same/tokenizer.json" "$model/tokenizer.json"
holds cmp -s "$work/same/config.json" "$model/config.json"
run 0 translate --model "$work/same" "tom sees the cat ."
steps=$(ls -d "$model"/checkpoints/step-*)
# shellcheck disable=SC2086
run 0 average --out "$work/mean" $steps
run 0 eval --model "$work/mean" --data "$data" --metric loss --quiet
# Over an old model, not over anything else.
run 0 average --out "$work/same" "$model"
mkdir "$work/mine"
echo precious >"$work/mine/diary"
fails 1 "$work/mine" average --out "$work/mine" "$model"
has "$work/mine/diary" "precious"
fails 1 "/dev/null/" average --out /dev/null/x "$model"
fails 1 "nosuch" average --out "$work/new" "$model" "$work/nosuch"
holds [ ! -e "$work/new" ]
fails 2 "--out FOLDER is missing" average "$model"
fails 2 "at least one model" average --out "$work/new"
# Models that are not of one shape.
mkdir -p "$work/other"
sed 's/"d_model": 32/"d_model": 16/; s/"max_steps": [0-9]*/"max_steps": 2/; s/"warmup": 50/"warmup": 1/' "$data/../recipe.json" >"$work/other.json"
run 0 train --recipe "$work/other.json" --data "$data" --out "$work/other/model" --quiet
fails 1 "not of one model" average --out "$work/new" "$model" "$work/other/model"
holds [ ! -e "$work/new" ]
mkdir "$work/closed"
chmod a-w "$work/closed"
if [ ! -w "$work/closed" ]; then # root writes there all the same
    fails 1 "$work/closed" average --out "$work/closed/new" "$model"
fi

finish
