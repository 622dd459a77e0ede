#!/bin/bash
# Guided alignment: a head is taught, stored in config.json, aligns without error; its copies fill in for <unk>.
attend=$1
. "$(dirname "$0")/common.sh"

# Sentences word for word, the target's words in reverse order; every fourth sentence has a name of its own, which no
# vocabulary holds. The links are known.
make_reversed() { # FOLDER SPLIT COUNT SEED
    awk -v n="$3" -v seed="$4" -v from="$1/$2.en" -v to="$1/$2.xx" -v links="$1/$2.align" '
    function random(below) {
        seed = (seed * 1103515245 + 12345) % 2147483648
        return int(seed / 65536) % below
    }
    BEGIN {
        split("tom jerry cat mouse dog sees chases likes", en, " ")
        split("tomo jero kato muso hundo vidas pelas amas", xx, " ")
        for (i = 0; i < n; i++) {
            words = 2 + random(5); source = ""; target = ""; link = ""
            name = i % 4 == 0 ? random(words) : -1
            for (j = 0; j < words; j++) {
                k = 1 + random(8)
                s = j == name ? "X" random(30000) : en[k]
                t = j == name ? s : xx[k]
                source = source (j ? " " : "") s
                target = t (j ? " " : "") target
                link = link (j ? " " : "") j "-" (words - 1 - j)
            }
            print source > from
            print target > to
            print link > links
        }
    }'
}
mkdir -p "$work/data"
make_reversed "$work/data" train 1500 3
make_reversed "$work/data" valid 40 4
make_reversed "$work/data" test 60 5
cat >"$work/recipe.json" <<'END'
{
  "model": {"family": "transformer", "encoder_layers": 1, "decoder_layers": 2, "d_model": 32, "ffn": 64, "heads": 2,
            "max_length": 24, "dropout": 0.0},
  "tokenizer": {"type": "word", "vocab_size": 20},
  "data": {"source": "en", "target": "xx", "train": "train", "valid": "valid", "max_length": 24, "batch_tokens": 512,
           "alignment": "align"},
  "train": {"seed": 1, "lr": 0.005, "warmup": 50, "max_steps": 400, "valid_every": 400, "report_every": 100,
            "guided_alignment": 0.5, "guided_layer": 1, "guided_head": 1},
  "decode": {"beam": 2}
}
END
run 0 train --recipe "$work/recipe.json" --data "$work/data" --out "$work/model" --quiet
json "$work/model/config.json" 'd["attend"]["align"] == {"layer": 1, "head": 1}'

# Without dropout an example seen twice teaches what it teaches seen once, the head's links included.
for twice in 0 3; do
    run 0 train --recipe "$work/recipe.json" --data "$work/data" --out "$work/twice$twice" --quiet --threads 1 \
        --r-drop $twice --max-steps 4 --warmup 2 --report-every 1 --valid-every 4
done
norms() { sed -n 's/.*"grad_norm":\([0-9.e+-]*\).*/\1/p' "$1/log.jsonl"; }
paste <(norms "$work/twice0") <(norms "$work/twice3") >"$work/both"
lines "$work/both" 4
holds awk '{ d = $1 - $2; if (d < 0) d = -d; if (NF != 2 || d > 2e-3 * $1) exit 1 }' "$work/both"

# The taught head aligns; the model's own is that head; another head does not.
aer() { # MOST ARGUMENT…
    local most=$1
    shift
    run 0 align --model "$work/model" --words spaced "$@" "$work/data/test.en" "$work/data/test.xx"
    cp "$work/out" "$work/hyp.align"
    run 0 eval --metric aer --json --alignment "$work/hyp.align" --gold "$work/data/test.align"
    json "$work/out" "d['scores'][0]['score'] <= $most"
}
aer 0.02
cp "$work/hyp.align" "$work/own.align"
aer 0.02 --layer 1 --head 1
holds cmp -s "$work/hyp.align" "$work/own.align"
run 0 show --model "$work/model" "tom sees jerry"
has "$work/out" "cross attention, layer 1, head 1"
run 0 show --model "$work/model" --layer mean --head mean "tom sees jerry"
has "$work/out" "mean of all layers, mean of all heads"

# The taught head is found by measurement, and can be made the model's own.
run 0 align --model "$work/model" --words spaced --choose "$work/data/test.align" --json "$work/data/test.en" \
    "$work/data/test.xx"
json "$work/out" 'len(d["heads"]) == 7 and [(h["layer"], h["head"]) for h in d["heads"] if h["head"] >= 0][0] == (1, 1)'
json "$work/out" '[h["aer"] for h in d["heads"]] == sorted(h["aer"] for h in d["heads"])'
cp -r "$work/model" "$work/copy"
sed -i 's/"align": *{/"align_of_before": {/' "$work/copy/config.json"
run 0 show --model "$work/copy" "tom sees jerry"
has "$work/out" "mean of all layers, mean of all heads"
run 0 align --model "$work/copy" --words spaced --choose "$work/data/test.align" --store "$work/data/test.en" \
    "$work/data/test.xx"
least=$(awk 'NR == 2 { print $3 }' "$work/out")
has "$work/copy/config.json" '"align": {'
run 0 align --model "$work/copy" --words spaced "$work/data/test.en" "$work/data/test.xx"
cp "$work/out" "$work/hyp.align"
run 0 eval --metric aer --alignment "$work/hyp.align" --gold "$work/data/test.align"
has "$work/out" "= $least precision"
fails 2 "goes with --choose" align --model "$work/copy" --store
head -n 5 "$work/data/test.align" >"$work/short.align"
fails 1 "5 lines for 60 pairs" align --model "$work/copy" --choose "$work/short.align" "$work/data/test.en" \
    "$work/data/test.xx"

# Words that nobody knows are copied as they were written.
run 0 translate --model "$work/model" "tom sees Zorblax" "Qrix chases jerry"
holds [ "$(grep -c Zorblax "$work/out")" = 0 ]
run 0 translate --model "$work/model" --replace-unk "tom sees Zorblax" "Qrix chases jerry"
holds [ "$(cat "$work/out")" = "Zorblax vidas tomo
jero pelas Qrix" ]
run 0 translate --model "$work/model" --replace-unk --alignment moses "tom sees Zorblax"
has "$work/out" "Zorblax vidas tomo ||| 2-0 1-1 0-2"

# A recurrent decoder looks once, with any score and normaliser: the same links teach it, step by step or by whole rows.
recurrent() { # NAME CHANGE…
    local name=$1
    shift
    run 0 train --recipe "$work/recipe.json" --data "$work/data" --out "$work/$name" --quiet --set model.family=recurrent \
        --set model.embedding=24 --set model.encoder_hidden=24 --set model.decoder_hidden=48 --set train.lr=0.01 \
        --set train.guided_layer=-1 --set train.guided_head=0 --set train.guided_alignment=1 "$@"
    json "$work/$name/config.json" 'd["attend"]["align"] == {"layer": 0, "head": 0}'
    run 0 align --model "$work/$name" --words spaced "$work/data/test.en" "$work/data/test.xx"
    cp "$work/out" "$work/hyp.align"
    run 0 eval --metric aer --json --alignment "$work/hyp.align" --gold "$work/data/test.align"
    json "$work/out" "d['scores'][0]['score'] <= 0.05"
}
recurrent bahdanau
recurrent luong --set model.attention=luong --set model.score=general --set model.normalise=sparsemax \
    --set model.input_feeding=false

# What a recipe may not ask for.
train_fails() { # CODE WORDS CHANGE…
    local code=$1 words=$2
    shift 2
    rm -rf "$work/bad"
    fails "$code" "$words" train --recipe "$work/recipe.json" --data "$work/data" --out "$work/bad" --quiet "$@"
}
train_fails 1 "no cross attention of layer 7: there are layers 0 to 1" --set train.guided_layer=7
train_fails 1 "bahdanau or luong" --set model.family=recurrent --set model.attention=none --set train.guided_head=0
train_fails 1 "not of model.align 'local-p'" --set model.family=recurrent --set model.attention=luong \
    --set model.score=general --set model.align=local-p --set train.guided_head=0 --set train.guided_layer=0
train_fails 1 "heads 0 to 1" --set train.guided_head=2
train_fails 1 "no train.nowhere" --set data.alignment=nowhere
sed 's/"alignment": "align"/"shuffle": true/' "$work/recipe.json" >"$work/without.json"
fails 1 "data.alignment" train --recipe "$work/without.json" --data "$work/data" --out "$work/bad" --quiet
sed -i '3s/$/ 9-9/' "$work/data/train.align"
train_fails 1 "train.align:3: link 9-9"

finish
