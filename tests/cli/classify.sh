#!/bin/bash
# attend classify, embed, and eval of encoders: a small classifier and an embedder learned from generated text.
attend=$1
. "$(dirname "$0")/common.sh"

nouns=(cat dog pet chair table bench)
verbs=(eats sleeps runs stands breaks creaks)
ends=(today here again slowly)
# lines N FIRST: label, tab, text; a pseudo-random walk that is the same everywhere
sentences() {
    local x=$2 i noun verb
    for ((i = 0; i < $1; i++)); do
        x=$(((x * 1103515245 + 12345) % 2147483648))
        noun=$(((x / 65536) % 6))
        verb=$((noun / 3 * 3 + (x / 4194304) % 3))
        printf '%s\tthe %s %s %s\n' "$([ $noun -lt 3 ] && echo animal || echo thing)" "${nouns[$noun]}" \
            "${verbs[$verb]}" "${ends[$(((x / 16777216) % 4))]}"
    done
}
mkdir "$work/data"
sentences 300 1 >"$work/data/train.tsv"
sentences 60 7 >"$work/data/dev.tsv"
cat >"$work/recipe.json" <<END
{"description": "animals and things",
 "model": {"family": "encoder", "layers": 1, "d_model": 32, "ffn": 64, "heads": 2, "max_length": 12,
           "pooling": "attention", "dropout": 0.1},
 "tokenizer": {"type": "word", "vocab_size": 64},
 "data": {"train": "train", "valid": "dev", "max_length": 12, "batch_pairs": 32},
 "train": {"lr": 0.003, "schedule": "constant", "max_steps": 60, "valid_every": 30, "report_every": 20,
           "best_by": "accuracy"}}
END

# --- labels
run 0 train --recipe "$work/recipe.json" --data "$work/data" --out "$work/labels" --threads 1 --json --quiet
json "$work/out" 'd["accuracy"] == 1.0 and d["best_step"] > 0'
has "$work/labels/config.json" '"id2label"'
has "$work/labels/log.jsonl" '"accuracy":1.0'
printf 'the dog sleeps here\n\nthe chair breaks today\n' >"$work/in"
run 0 classify --model "$work/labels" --quiet <"$work/in"
lines "$work/out" 3
holds [ "$(cut -f1 "$work/out" | paste -sd,)" = "animal,,thing" ]
run 0 classify --model "$work/labels" --top 9 "the cat runs again"
holds [ "$(awk -F'\t' '{print NF, $1, $3, ($2 + $4 > 0.999)}' "$work/out")" = "4 animal thing 1" ]
run 0 classify --model "$work/labels" --words --json "the cat runs again"
json "$work/out" 'abs(sum(w["weight"] for w in d["words"]) - 1) < 1e-3 and d["words"][2]["word"] == "cat"'
json "$work/out" 'd["line"] == 0 and d["labels"][0]["label"] == "animal"'
run 0 classify --model "$work/labels" "$(printf 'cat %.0s' {1..40})"
has "$work/err" "1 lines are longer than the model reaches"
run 0 eval --model "$work/labels" --data "$work/data" --split dev --quiet
has "$work/out" "accuracy|lines:60|version:"
has "$work/out" "macro-F1|lines:60"
has "$work/out" " = 1.0000"
run 0 eval --model "$work/labels" --data "$work/data" --split dev --json --quiet
json "$work/out" 'd["lines"] == 60 and sum(sum(l["taken_for"]) for l in d["scores"][3]["labels"]) == 60'
# Only what was asked for.
run 0 eval --model "$work/labels" --data "$work/data" --split dev --metric macro-f1,accuracy --quiet
lines "$work/out" 2
run 0 eval --model "$work/labels" --data "$work/data" --split dev --metric labels --json --quiet
json "$work/out" '[s["name"] for s in d["scores"]] == ["labels"]'
holds [ "$(grep -c '"num_beams"\|"decode"' "$work/labels/config.json")" = 0 ]
run 0 train --recipe "$work/recipe.json" --data "$work/data" --out "$work/twins" --r-drop 1 --quiet
run 0 eval --model "$work/twins" --data "$work/data" --split dev --metric accuracy --quiet
has "$work/out" " = 1.0000"
fails 1 "train.r_drop" train --recipe "$work/recipe.json" --data "$work/data" --out "$work/no" --r-drop 1 \
    --set data.task=mask
# A mean of classifiers is a classifier: its labels stay.
run 0 average --out "$work/mean" "$work/labels" "$work/labels"
run 0 classify --model "$work/mean" --quiet <"$work/in"
holds [ "$(cut -f1 "$work/out" | paste -sd,)" = "animal,,thing" ]
has "$work/mean/README.md" "the mean of the weights of"
has "$work/mean/README.md" "attend classify"
# Which words decided: the noun, by every measure; in the picture too.
run 0 classify --model "$work/labels" --words --measure left_out --json "the cat runs again"
json "$work/out" 'd["measure"] == "left_out" and max(d["words"], key=lambda w: w["weight"])["word"] in ("cat", "runs")'
run 0 classify --model "$work/labels" --words --measure left_out "the cat runs again"
holds grep -qE 'cat:[+-][0-9.]+ runs:[+-]' "$work/out"
run 0 show --model "$work/labels" "the cat runs again"
has "$work/out" "what decided animal"
has "$work/out" "attention pooling"
has "$work/out" "left out: was against"
run 0 show --model "$work/labels" --json "the cat runs again"
json "$work/out" 'd["kind"] == "class" and d["label"] == "animal" and abs(sum(d["weights"][0]) - 1) < 1e-4'
json "$work/out" 'abs(sum(map(sum, d["weights"][1:])) - 1) < 1e-4'
run 0 show --model "$work/labels" --kind encoder --layer 0 --head 1 "the cat"
has "$work/out" "encoder self-attention, layer 0, head 1"
run 0 show --model "$work/labels" --kind encoder --rollout "the cat"
has "$work/out" "Abnar & Zuidema"
run 0 show --model "$work/labels" --html "$work/why.html" --svg "$work/why.svg" "the cat runs <again>"
has "$work/why.html" '"kind":"class"'
has "$work/why.html" '"kind":"encoder"'
has "$work/why.svg" "what decided animal"
cut -f2 "$work/data/dev.tsv" >"$work/texts"
run 0 show --model "$work/labels" --heads "$work/texts"
has "$work/out" "encoder"
fails 1 "no layers" show --model "$work/labels" --layer 0 "the cat"
# The same text whatever its company, and for any number of threads.
run 0 classify --model "$work/labels" --batch 1 --threads 1 <"$work/texts"
cp "$work/out" "$work/one"
run 0 classify --model "$work/labels" --batch 60 --threads 3 <"$work/texts"
holds cmp -s "$work/out" "$work/one"

# --- hidden pieces, words before and after attention
run 0 train --recipe "$work/recipe.json" --data "$work/data" --out "$work/words" --threads 1 --quiet --task mask \
    --best-by loss --pooling mean --dropout 0 --max-steps 500 --valid-every 500
printf 'cat dog pet chair table bench\n' >"$work/in"
run 0 embed --model "$work/words" --words --layer 0 --nearest 2 <"$work/in"
holds grep -qE $'^cat\t(dog|pet)\t[0-9.]+\t(dog|pet)\t' "$work/out"
holds grep -qE $'^chair\t(table|bench)\t[0-9.]+\t(table|bench)\t' "$work/out"
printf 'the cat sleeps here\nthe chair breaks here\n' >"$work/in"
run 0 embed --model "$work/words" --words --layer 0 <"$work/in"
holds [ "$(grep ^here "$work/out" | sort -u | wc -l)" = 1 ]
run 0 embed --model "$work/words" --words <"$work/in"
holds [ "$(grep ^here "$work/out" | sort -u | wc -l)" = 2 ]
lines "$work/out" 8
printf 'the cat eats today\nthe dog sleeps again\nthe chair breaks today\n' >"$work/in"
run 0 embed --model "$work/words" --compare "the pet runs today" <"$work/in"
holds [ "$(tail -n 1 "$work/out" | cut -f3)" = "the chair breaks today" ]
holds [ "$(awk '{s += $2} END {print (s > 0.999 && s < 1.001)}' "$work/out")" = 1 ]
run 0 embed --model "$work/words" --compare "the pet runs" --top 1 --json <"$work/in"
json "$work/out" 'd["weight"] > 0.3 and d["cosine"] <= 1.0001 and d["text"]'
run 0 embed --model "$work/words" --json "the cat"
json "$work/out" 'len(d["vector"]) == 32 and abs(sum(x * x for x in d["vector"]) - 1) < 1e-4'
run 0 embed --model "$work/words" --nearest 1 <"$work/in"
lines "$work/out" 3
run 0 embed --model "$work/words" "" --json
json "$work/out" 'd["vector"] == []'

# Starting from them: a classifier whose head is new, better at once than from nothing.
run 0 train --recipe "$work/recipe.json" --data "$work/data" --out "$work/tuned" --threads 1 --init "$work/words" \
    --pooling mean --max-steps 6 --valid-every 6 --report-every 6
has "$work/err" "starting from the weights of"
has "$work/err" "newly made: classifier.weight, classifier.bias"
holds cmp -s "$work/words/tokenizer.json" "$work/tuned/tokenizer.json"
tuned=$(sed -n 's/.*"valid_loss":\([0-9.]*\).*/\1/p' "$work/tuned/log.jsonl" | tail -1)
run 0 train --recipe "$work/recipe.json" --data "$work/data" --out "$work/raw" --threads 1 --quiet \
    --pooling mean --max-steps 6 --valid-every 6 --report-every 6
raw=$(sed -n 's/.*"valid_loss":\([0-9.]*\).*/\1/p' "$work/raw/log.jsonl" | tail -1)
holds [ "$(awk "BEGIN { print ($tuned < $raw) }")" = 1 ]
fails 1 "'bert.embeddings.word_embeddings.weight' is (" train --recipe "$work/recipe.json" --data "$work/data" \
    --out "$work/x" --quiet --init "$work/words" --d-model 16
fails 1 "is missing" train --recipe "$work/recipe.json" --data "$work/data" --out "$work/x" --quiet \
    --init "$work/words" --layers 2
fails 1 "nosuch" train --recipe "$work/recipe.json" --data "$work/data" --out "$work/x" --quiet --init "$work/nosuch"
fails 2 "leave --init out" train --out "$work/tuned" --resume --init "$work/words"
holds [ ! -e "$work/x" ]

# --- pairs
mkdir "$work/pairs"
for split in train dev; do
    cut -f2 "$work/data/$split.tsv" | sort -u >"$work/pairs/$split.en"
    tr 'a-z' 'b-za' <"$work/pairs/$split.en" >"$work/pairs/$split.xx"
done
run 0 train --recipe "$work/recipe.json" --data "$work/pairs" --out "$work/find" --threads 1 --quiet --task contrast \
    --pooling mean --dropout 0 --data.source en --data.target xx --max-steps 150 --valid-every 50
run 0 eval --model "$work/find" --data "$work/pairs" --split dev --metric retrieval --json --quiet
json "$work/out" 'd["scores"][0]["name"].startswith("retrieval@1") and d["scores"][1]["score"] >= d["scores"][0]["score"] > 0.8'

# --- what is wrong
printf 'animal\tthe cat\nplant\tthe rose\n' >"$work/data/plants.tsv"
printf 'animal\tthe cat\nthe rose\n' >"$work/data/notab.tsv"
printf 'animal\tthe c\xff\n' >"$work/data/bytes.tsv"
fails 1 "plants.tsv:2: unknown label 'plant'; the model knows animal, thing" eval --model "$work/labels" \
    --data "$work/data" --split plants
fails 1 "plants.tsv:2: unknown label" train --recipe "$work/recipe.json" --data "$work/data" --out "$work/x" --quiet --valid plants
fails 1 "notab.tsv:2" eval --model "$work/labels" --data "$work/data" --split notab
fails 1 "notab.tsv:2" train --recipe "$work/recipe.json" --data "$work/data" --out "$work/x" --quiet --train notab
fails 1 "bytes.tsv:1" eval --model "$work/labels" --data "$work/data" --split bytes
fails 1 "nosuch.tsv is not there" eval --model "$work/labels" --data "$work/data" --split nosuch
printf 'a\xff\n' >"$work/in"
fails 1 "1" classify --model "$work/labels" <"$work/in"
fails 1 "learned no labels" classify --model "$work/words" "the cat"
fails 1 "layer 7" embed --model "$work/words" --layer 7 "the cat"
fails 1 "nothing to compare" embed --model "$work/words" --compare " " "the cat"
fails 2 "--model" classify "the cat"
fails 2 "give one of them" embed --model "$work/words" --compare a --nearest 2
fails 1 "learns classify, mask, contrast" train --recipe "$work/recipe.json" --data "$work/data" --out "$work/x" --task seq2seq
fails 1 "does not translate" translate --model "$work/labels" "the cat"
fails 1 "its own is pooling" classify --model "$work/labels" --words --measure rollout "the cat"
fails 2 "measure" classify --model "$work/labels" --words --measure all "the cat"
fails 1 "a classifier has --metric accuracy" eval --model "$work/labels" --data "$work/data" --split dev --metric bleu
fails 1 "has --metric retrieval" eval --model "$work/find" --data "$work/pairs" --split dev --metric accuracy
fails 2 "none of bleu" eval --model "$work/labels" --data "$work/data" --split dev --metric right
finish
