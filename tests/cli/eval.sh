#!/bin/bash
# attend eval: files and models, scores with their signatures.
attend=$1
. "$(dirname "$0")/common.sh"
need_model

printf 'The cat sat on the mat .\nA dog barks at the moon , twice .\n' >"$work/hyp"
printf 'The cat sat on a mat .\nThe dog barks at the moon twice .\n' >"$work/ref"
printf 'A cat was sitting on the mat .\nA dog barks at the moon , twice .\n' >"$work/ref2"

# sacreBLEU 2.6.0: sacrebleu ref -i hyp -m bleu chrf -b -w 2
run 0 eval --hyp "$work/hyp" --ref "$work/ref" --metric bleu,chrf --quiet
has "$work/out" "BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:"
has "$work/out" "chrF2|nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:"
has "$work/out" " = 50.55 81.2/64.3/41.7/30.0 (BP = 1.000 ratio = 1.067 hyp_len = 16 ref_len = 15)"
has "$work/out" " = 74.72"
lines "$work/out" 2
run 0 eval --hyp "$work/hyp" --ref "$work/hyp" --metric bleu,chrf,chrf++ --quiet
holds [ "$(grep -c ' = 100.00' "$work/out")" = 3 ]
run 0 eval --hyp "$work/hyp" --ref "$work/ref" --ref="$work/ref2" --json --quiet
json "$work/out" 'd["lines"] == 2 and d["scores"][0]["name"] == "BLEU" and d["scores"][0]["nrefs"] == "2"'
json "$work/out" '0 < d["scores"][0]["score"] < 100 and "signature" in d["scores"][0]'
run 0 eval --hyp - --ref "$work/ref" --tokenize zh --lowercase --quiet <"$work/hyp"
has "$work/out" "case:lc|eff:no|tok:zh"
run 0 eval --hyp "$work/hyp" --ref "$work/ref" --target zh --quiet
has "$work/out" "|tok:zh|"
for tokenizer in 13a zh char intl none; do
    run 0 eval --hyp "$work/hyp" --ref "$work/ref" --tokenize $tokenizer --quiet
    has "$work/out" "|tok:$tokenizer|"
done
# rouge-score 0.1.2 of the same lines: see tests/eval/test_rouge.c for more
run 0 eval --hyp "$work/hyp" --ref "$work/ref" --metric rouge --quiet
lines "$work/out" 3
has "$work/out" "ROUGE-1|nrefs:1|tok:rouge|stem:no|version:"
has "$work/out" "ROUGE-2|"
run 0 eval --hyp "$work/hyp" --ref "$work/ref" --metric rouge-l,bleu --stem --quiet
lines "$work/out" 2
has "$work/out" "ROUGE-L|nrefs:1|tok:rouge|stem:yes|version:"
run 0 eval --hyp "$work/hyp" --ref "$work/ref" --metric rouge-1 --target zh --json --quiet
json "$work/out" 'd["scores"][0]["tok"] == "zh" and 0 < d["scores"][0]["recall"] < 100'
fails 1 "own words" eval --hyp "$work/hyp" --ref "$work/ref" --metric rouge --stem --tokenize 13a
# CRLF, gzip, a last line without its end: the same score.
run 0 eval --hyp "$work/hyp" --ref "$work/ref" --quiet
cp "$work/out" "$work/score"
sed 's/$/\r/' "$work/ref" >"$work/crlf"
gzip -c "$work/ref" >"$work/ref.gz"
printf '%s' "$(cat "$work/ref")" >"$work/noend"
for other in crlf ref.gz noend; do
    run 0 eval --hyp "$work/hyp" --ref "$work/$other" --quiet
    holds cmp -s "$work/out" "$work/score"
done
# Remarks go to standard error and --quiet hides them.
run 0 eval --hyp "$work/hyp" --ref "$work/ref"
lines "$work/out" 1
holds [ -s "$work/err" ]
run 0 eval --hyp "$work/hyp" --ref "$work/ref" --quiet
holds [ ! -s "$work/err" ]
# Half characters do not stop it.
printf 'The c\xe2\x82 sat .\nb\n' >"$work/half"
run 0 eval --hyp "$work/half" --ref "$work/ref" --quiet
lines "$work/out" 1
# The protocol on lower-cased Moses tokens says so.
run 0 eval --hyp "$work/hyp" --ref "$work/ref" --protocol wu --target de --quiet
has "$work/out" "case:lc|eff:no|tok:none|smooth:none|version:"
has "$work/out" "|protocol:wu"
run 0 eval --hyp "$work/hyp" --ref "$work/ref" --protocol wu --json --quiet
json "$work/out" 'd["scores"][0]["protocol"].startswith("wu") and d["scores"][0]["signature"].endswith(d["scores"][0]["protocol"])'
tr 'A-Z' 'a-z' <"$work/hyp" >"$work/lower"
run 0 eval --hyp "$work/lower" --ref "$work/hyp" --protocol wu --quiet
has "$work/out" " = 100.00"

# A model on a split.
run 0 eval --model "$model" --data "$data" --split test --metric bleu,chrf --beam 1 --out "$work/said"
lines "$work/out" 2
has "$work/err" "tokens/s"
lines "$work/said" 60
cp "$work/out" "$work/score"
run 0 eval --hyp "$work/said" --ref "$data/test.xx" --metric bleu,chrf --quiet
holds cmp -s "$work/out" "$work/score"
"$attend" translate --model "$model" --beam 1 <"$data/test.en" >"$work/translated"
holds cmp -s "$work/said" "$work/translated"
run 0 eval --model "$model" --data "$data" --split test --metric loss,perplexity,bleu --json --beam 1
json "$work/out" '[s["name"] for s in d["scores"]] == ["loss", "perplexity", "BLEU"]'
json "$work/out" 'abs(math.exp(d["scores"][0]["score"]) - d["scores"][1]["score"]) < 1e-4 and d["scores"][0]["score"] < 1'
json "$work/out" 'd["lines"] == 60 and d["tokens_per_s"] > 0 and d["seconds"] > 0 and d["pieces"] > 100'
run 0 eval --model "$model" --data "$data" --split valid --metric perplexity --quiet
holds grep -qE '^perplexity\|pieces:[0-9]+\|version:.* = [0-9.]+$' "$work/out"
# The loss does not depend on the batch.
run 0 eval --model "$model" --data "$data" --split valid --metric loss --batch 1
cp "$work/out" "$work/score"
run 0 eval --model "$model" --data "$data" --split valid --metric loss --batch 17
holds cmp -s "$work/out" "$work/score"
# It is the loss that the training saw.
if command -v python3 >/dev/null 2>&1; then
    seen=$(python3 -c 'import json, sys
print(min(json.loads(l).get("valid_loss", 9) for l in open(sys.argv[1])))' "$model/log.jsonl")
    holds awk -v a="$seen" -v b="$(sed 's/.* = //' "$work/out")" 'BEGIN { d = a - b; exit !(d < 0.0002 && d > -0.0002) }'
fi
# TSV and gzip splits, languages by flag, the protocol for a model without Moses tokens.
mkdir "$work/tsv" "$work/gz"
paste "$data/test.en" "$data/test.xx" >"$work/tsv/test.tsv"
gzip -c "$data/test.en" >"$work/gz/test.aa.gz"
gzip -c "$data/test.xx" >"$work/gz/test.bb.gz"
run 0 eval --model "$model" --data "$data" --split test --beam 1 --quiet
cp "$work/out" "$work/score"
run 0 eval --model "$model" --data "$work/tsv" --beam 1 --quiet
holds cmp -s "$work/out" "$work/score"
run 0 eval --model "$model" --data "$work/gz" --source aa --target bb --beam 1 --quiet
holds cmp -s "$work/out" "$work/score"
run 0 eval --model "$model" --data "$data" --beam 1 --protocol wu --quiet
has "$work/out" "protocol:wu"

# Wrong usage and wrong files.
fails 2 "either --hyp" eval
fails 2 "either --hyp" eval --hyp a --model b
fails 2 "--ref FILE is missing" eval --hyp "$work/hyp"
fails 2 "--data FOLDER is missing" eval --model "$model"
run 0 eval --hyp "$work/hyp" --ref "$work/hyp" --metric exact --quiet
has "$work/out" "= 100.00"
fails 2 "a model's" eval --hyp "$work/hyp" --ref "$work/ref" --metric accuracy
fails 1 "of encoders alone" eval --model "$model" --data "$data" --split valid --metric accuracy
fails 2 "bleu, chrf" eval --hyp "$work/hyp" --ref "$work/ref" --metric blue
fails 2 "bleu, chrf" eval --hyp "$work/hyp" --ref "$work/ref" --metric bleu,
fails 2 "tokenize" eval --hyp "$work/hyp" --ref "$work/ref" --tokenize 14a
fails 2 "a model's" eval --hyp "$work/hyp" --ref "$work/ref" --metric loss
fails 2 "unexpected word" eval --hyp "$work/hyp" --ref "$work/ref" "$work/ref2"
fails 2 "standard input" eval --hyp - --ref - </dev/null
fails 2 "--ref wants a value" eval --hyp "$work/hyp" --ref
head -n 1 "$work/ref" >"$work/short"
fails 1 "has 2 lines" eval --hyp "$work/hyp" --ref "$work/short"
fails 1 "nowhere" eval --hyp "$work/nowhere" --ref "$work/ref"
fails 1 "nowhere" eval --hyp "$work/hyp" --ref "$work/nowhere"
fails 1 "no lines" eval --hyp /dev/null --ref /dev/null
fails 1 "nosuch" eval --model "$model" --data "$data" --split nosuch
fails 1 "nosuch" eval --model "$model" --data "$work/nosuch"
head -c 30 "$work/ref.gz" >"$work/cut.gz"
fails 1 "cut.gz" eval --hyp "$work/hyp" --ref "$work/cut.gz"
fails 1 "/dev/null/x" eval --model "$model" --data "$data" --out /dev/null/x --beam 1
mkdir "$work/uneven"
cp "$data/test.en" "$work/uneven/test.en"
head -n 59 "$data/test.xx" >"$work/uneven/test.xx"
fails 1 "59" eval --model "$model" --data "$work/uneven"
printf 'j\xff\n' >"$work/uneven/test.en"
printf 'x\n' >"$work/uneven/test.xx"
fails 1 "test.en:1" eval --model "$model" --data "$work/uneven"
if [ -e /dev/full ]; then
    checks=$((checks + 1))
    "$attend" eval --hyp "$work/hyp" --ref "$work/ref" --quiet >/dev/full 2>"$work/err"
    [ $? = 1 ] && has "$work/err" "standard output" || complain "a full disk is not told"
fi

finish
