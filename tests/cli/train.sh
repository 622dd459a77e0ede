#!/bin/bash
# attend train: the folder it leaves, going on after a stop, refusing what is wrong.
attend=$1
. "$(dirname "$0")/common.sh"
need_model

holds [ -f "$model/config.json" ]
holds [ -f "$model/log.jsonl" ]
holds grep -q '</svg>' "$model/curves.svg"
tail -n 1 "$model/log.jsonl" >"$work/last"
json "$work/last" 'd["valid_loss"] < 0.5 and d["step"] > 0'
head -n 1 "$model/log.jsonl" >"$work/first"
json "$work/first" 'set("step epoch loss lr grad_norm target_tokens seconds tokens_per_s".split()) <= set(d)'

# Stopped and continued: the same weights as in one go, whatever the threads.
recipe | sed 's/"max_steps": [0-9]*/"max_steps": 60/; s/"valid_every": [0-9]*/"valid_every": 20/; s/"warmup": 50/"warmup": 5/; s/"dropout": 0.0/"dropout": 0.1/' >"$work/short.json"
run 0 train --recipe "$work/short.json" --data "$data" --out "$work/one" --quiet
cp -R "$work/one" "$work/two"
rm -rf "$work/two/checkpoints/step-60" "$work/two/checkpoints/step-6"[1-9]*
run 0 train --resume --recipe "$work/short.json" --data "$data" --out "$work/two" --quiet --threads 1
holds cmp -s "$work/one/model.safetensors" "$work/two/model.safetensors"
holds cmp -s "$work/one/checkpoints/step-60/model.safetensors" "$work/two/checkpoints/step-60/model.safetensors"
holds cmp -s "$work/one/checkpoints/step-60/optimizer.safetensors" "$work/two/checkpoints/step-60/optimizer.safetensors"
# Killed at once, then continued.
"$attend" train --recipe "$work/short.json" --data "$data" --out "$work/three" --quiet >"$work/out" 2>"$work/err" &
process=$!
disown
sleep 0.5
kill -9 $process 2>/dev/null
while kill -0 $process 2>/dev/null; do sleep 0.1; done
run 0 train --resume --recipe "$work/short.json" --data "$data" --out "$work/three" --quiet
holds cmp -s "$work/one/model.safetensors" "$work/three/model.safetensors"
# Every example twice: other weights, the same ones for any number of threads.
run 0 train --recipe "$work/short.json" --data "$data" --out "$work/twins" --quiet --r-drop 3 --max-steps 20 --threads 1
run 0 train --recipe "$work/short.json" --data "$data" --out "$work/twins3" --quiet --r-drop 3 --max-steps 20 --threads 3
holds cmp -s "$work/twins/model.safetensors" "$work/twins3/model.safetensors"
holds [ "$(cmp -s "$work/twins/checkpoints/step-20/model.safetensors" "$work/one/checkpoints/step-20/model.safetensors"; echo $?)" = 1 ]
fails 1 "not together with z_loss" train --recipe "$work/short.json" --data "$data" --out "$work/no" --r-drop 3 --z-loss 1e-4
# Other seeds, other weights; one word changes a field.
run 0 train --recipe "$work/short.json" --data "$data" --out "$work/four" --quiet --seed 5 --max-steps 20
holds [ -d "$work/four/checkpoints/step-20" ]
checks=$((checks + 1))
cmp -s "$work/one/checkpoints/step-20/model.safetensors" "$work/four/checkpoints/step-20/model.safetensors" &&
    complain "another seed gives the same weights"
# Plain lines in a pipe, no cursor movements.
run 0 train --recipe "$work/short.json" --data "$data" --out "$work/five" --max-steps 20
cp "$work/err" "$work/five.err"
run 0 train --recipe "$work/short.json" --data "$data" --out "$work/later" --max-steps 20 --r-drop 3 --r-drop-from 20 --quiet
holds cmp -s "$work/five/model.safetensors" "$work/later/model.safetensors"
cp "$work/five.err" "$work/err"
checks=$((checks + 1))
cat "$work/out" "$work/err" | grep -q "$(printf '\r\|\033')" && complain "a pipe gets cursor movements"
holds [ -s "$work/err" ]

# Refused: an OUT with a training in it, unknown keys, values out of limits, missing or bad files.
fails 1 "$work/one" train --recipe "$work/short.json" --data "$data" --out "$work/one" --quiet
fails 2 "--recipe" train --data "$data" --out "$work/new"
fails 2 "--out" train --recipe "$work/short.json" --data "$data"
fails 2 "unexpected word" train --recipe "$work/short.json" --data "$data" --out "$work/new" now
fails 1 "nosuch" train --recipe "$work/nosuch.json" --data "$data" --out "$work/new" --quiet
fails 1 "nosuch" train --recipe "$work/short.json" --data "$work/nosuch" --out "$work/new" --quiet
fails 1 "/dev/null" train --recipe "$work/short.json" --data "$data" --out /dev/null/new --quiet
sed 's/"heads"/"haeds"/' "$work/short.json" >"$work/bad.json"
fails 2 "did you mean 'heads'" train --recipe "$work/bad.json" --data "$data" --out "$work/new"
sed 's/"train": {/"trian": {/' "$work/short.json" >"$work/bad.json"
fails 2 "trian" train --recipe "$work/bad.json" --data "$data" --out "$work/new"
head -c 100 "$work/short.json" >"$work/bad.json"
fails 1 "bad.json" train --recipe "$work/bad.json" --data "$data" --out "$work/new" --quiet
sed 's/"heads": 2/"heads": 3/' "$work/short.json" >"$work/bad.json"
fails 1 "heads" train --recipe "$work/bad.json" --data "$data" --out "$work/new" --quiet
cp -R "$data" "$work/data"
head -n 1999 "$data/train.xx" >"$work/data/train.xx"
fails 1 "1999" train --recipe "$work/short.json" --data "$work/data" --out "$work/new" --quiet
printf 'j\xff\n' >"$work/data/train.xx"
fails 1 "train.xx:1" train --recipe "$work/short.json" --data "$work/data" --out "$work/new" --quiet
: >"$work/data/train.xx"
: >"$work/data/train.en"
fails 1 "train" train --recipe "$work/short.json" --data "$work/data" --out "$work/new" --quiet
mkdir "$work/closed"
chmod a-w "$work/closed"
if [ ! -w "$work/closed" ]; then # root writes there all the same
    fails 1 "$work/closed" train --recipe "$work/short.json" --data "$data" --out "$work/closed/new" --quiet
fi

finish
