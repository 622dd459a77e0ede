#!/bin/bash
# A smaller recipes/reverse.json: stopped by a signal, resumed without its recipe, and every symbol right in the end.
attend=$1
. "$(dirname "$0")/common.sh"
recipes=$(cd "$(dirname "$0")/../../recipes" && pwd)

# Lines of six symbols of eight, and the same turned round.
pairs() {
    awk -v count="$1" -v seed="$2" 'BEGIN {
        for (i = 0; i < count; i++) {
            there = back = ""
            for (j = 0; j < 6; j++) {
                seed = (seed * 1103515245 + 12345) % 2147483648
                symbol = sprintf("%c", 97 + int(seed / 65536) % 8)
                there = there (j ? " " : "") symbol
                back = symbol (j ? " " : "") back
            }
            print there "\t" back
        }
    }'
}
mkdir "$work/data"
pairs 3000 1 >"$work/data/train.tsv"
pairs 50 2 >"$work/data/valid.tsv"
pairs 100 3 >"$work/data/test.tsv"
small=(--recipe "$recipes/reverse.json" --data "$work/data" --d-model 32 --ffn 64 --batch-tokens 512 --warmup 50
    --lr 0.005 --max-steps 500 --valid-every 250 --threads 1)

"$attend" train "${small[@]}" --out "$work/model" --report-every 1 >"$work/out" 2>"$work/err" &
process=$!
for _ in $(seq 300); do
    grep -q '^step 10 ' "$work/err" && break
    sleep 0.1
done
kill -TERM $process
wait $process
[ $? = 1 ] || complain "a training that was stopped should exit 1"
has "$work/err" "go on with: attend train --resume --out $work/model"
run 0 train --resume --out "$work/model" --threads 1
has "$work/err" "resumed at step"
checks=$((checks + 1))
[ "$(grep -c '"loss"' "$work/model/log.jsonl")" = 500 ] || complain "the log should hold each of 500 updates once"

cut -f1 "$work/data/test.tsv" >"$work/source"
cut -f2 "$work/data/test.tsv" >"$work/want"
run 0 translate --model "$work/model" <"$work/source"
holds cmp "$work/want" "$work/out"

fails 2 "did you mean" train "${small[@]}" --out "$work/none" --resmue
fails 2 "did you mean 'warmup'" train "${small[@]}" --out "$work/none" --set train.warm_up=3
fails 2 "not within" train "${small[@]}" --out "$work/none" --lr 1e9
fails 2 "several sections" train "${small[@]}" --out "$work/none" --max-length 9
fails 1 "resume" train "${small[@]}" --out "$work/model"
fails 1 "no-data" train "${small[@]}" --data "$work/no-data" --out "$work/none" --quiet
holds [ ! -e "$work/none" ]

finish
