#!/bin/bash
# attend align: links of given pairs; eval --metric aer; translate --alignment; words copied in place of <unk>.
attend=$1
. "$(dirname "$0")/common.sh"
bundled=$AT_SOURCE_DIR/models/tatoeba-en-zh

# The bundled model knows who chases whom, in either order.
printf 'Tom chases Jerry.\t汤姆追杰瑞。\nJerry chases Tom.\t杰瑞追汤姆。\n' >"$work/pairs.tsv"
run 0 align --model "$bundled" "$work/pairs.tsv"
holds [ "$(cat "$work/out")" = "0-0 1-1 2-2 3-3
0-0 1-1 2-2 3-3" ]
run 0 align --model "$bundled" --json "$work/pairs.tsv"
head -n 1 "$work/out" >"$work/first"
json "$work/first" 'd["source"] == ["Tom", "chases", "Jerry", ".", "</s>"] and d["target"][0] == "汤姆"'
json "$work/first" 'd["links"] == [[0, 0], [1, 1], [2, 2], [3, 3]]'
json "$work/first" 'all(abs(sum(r) - 1) < 1e-4 for r in d["weights"]) and len(d["weights"]) == 4'
# Two files, standard input, any batch: the same lines.
cut -f1 "$work/pairs.tsv" >"$work/pairs.en"
cut -f2 "$work/pairs.tsv" >"$work/pairs.zh"
cp "$work/out" "$work/json"
run 0 align --model "$bundled" --format json --batch 1 "$work/pairs.en" "$work/pairs.zh"
holds cmp -s "$work/out" "$work/json"
run 0 align --model "$bundled" --format json <"$work/pairs.tsv"
holds cmp -s "$work/out" "$work/json"
run 0 align --model "$bundled" --words spaced --format json "$work/pairs.tsv"
head -n 1 "$work/out" >"$work/first"
json "$work/first" 'd["source"] == ["Tom", "chases", "Jerry.", "</s>"] and d["target"] == ["汤姆追杰瑞。"]'
run 0 align --model "$bundled" --words pieces --layer 0 --head mean --format soft "$work/pairs.tsv"
lines "$work/out" 2
run 0 align --model "$bundled" --layer 1 --head 2 "$work/pairs.tsv"
lines "$work/out" 2
# A line a pair, whatever the pair.
printf 'Tom.\t汤姆。\n\t汤姆。\nTom.\t\n' >"$work/gaps.tsv"
run 0 align --model "$bundled" "$work/gaps.tsv"
lines "$work/out" 3
holds [ "$(sed -n 2p "$work/out")" = "" ]
awk 'BEGIN { for (i = 0; i < 700; i++) printf "Tom runs. "; printf "\t汤姆。\n" }' >"$work/long.tsv"
run 0 align --model "$bundled" "$work/long.tsv"
lines "$work/out" 1
has "$work/err" "longer than the model reaches"

# The same words from a translation.
run 0 translate --model "$bundled" --beam 4 --alignment moses "Tom chases Jerry."
has "$work/out" "汤姆"
has "$work/out" " ||| 0-0 1-1 2-2 3-3"
run 0 translate --model "$bundled" --alignment json --words spaced "Tom chases Jerry."
has "$work/out" '"source":["Tom","chases","Jerry.","</s>"]'

fails 2 "--model FOLDER is missing" align
fails 2 "want own, mean or a number" align --model "$bundled" --layer top "$work/pairs.tsv"
fails 2 "want two files" align --model "$bundled" a b c
fails 1 "there are layers 0 to" align --model "$bundled" --layer 60 "$work/pairs.tsv"
fails 1 "heads 0 to" align --model "$bundled" --head 60 "$work/pairs.tsv"
fails 1 "/nowhere" align --model "$bundled" /nowhere/a.tsv
printf 'no tab\n' >"$work/bad.tsv"
fails 1 "bad.tsv:1" align --model "$bundled" "$work/bad.tsv"

# Alignment error rate: A = 4 links, S = 3, both = 2, possible = 3, as tests/eval/test_aer.c works out.
echo "3-2 0-0 2-3 1-1" >"$work/hyp.align"
echo "0-0 1-1 1p0 2?3 3-3" >"$work/gold.align"
run 0 eval --metric aer --alignment "$work/hyp.align" --gold "$work/gold.align"
has "$work/out" "AER|lines:1|links:4|sure:3|version:"
has "$work/out" "= 0.2857 precision 0.7500 recall 0.6667"
run 0 eval --metric aer --json --alignment - --gold "$work/gold.align" <"$work/hyp.align"
json "$work/out" 'abs(d["scores"][0]["score"] - 2 / 7) < 1e-6 and d["lines"] == 1'
fails 2 "go together" eval --metric aer --alignment "$work/hyp.align"
fails 2 "go together" eval --gold "$work/gold.align" --hyp a --ref b
fails 2 "nothing beside" eval --metric bleu,aer --alignment "$work/hyp.align" --gold "$work/gold.align"
echo "0-0 zero-one" >"$work/bad.align"
fails 1 "bad.align:1: 'zero-one' is no link" eval --metric aer --alignment "$work/bad.align" --gold "$work/gold.align"
printf '0-0\n0-1\n' >"$work/two.align"
fails 1 "2 lines" eval --metric aer --alignment "$work/two.align" --gold "$work/gold.align"

finish
