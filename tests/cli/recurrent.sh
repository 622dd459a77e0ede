#!/bin/bash
# model.family=recurrent through the same commands as the Transformer: train, stop, go on, translate, eval, show.
attend=$1
. "$(dirname "$0")/common.sh"
make_pairs "$work/data" train 1500 1
make_pairs "$work/data" valid 40 2
make_pairs "$work/data" test 60 3
cat >"$work/recipe.json" <<'END'
{
  "model": {"family": "recurrent", "embedding": 24, "encoder_hidden": 24, "decoder_hidden": 48, "dropout": 0.0},
  "tokenizer": {"type": "word", "vocab_size": 100},
  "data": {"source": "en", "target": "xx", "train": "train", "valid": "valid", "test": "test", "batch_tokens": 512},
  "train": {"seed": 1, "lr": 0.01, "schedule": "cosine", "warmup": 20, "max_steps": 160, "valid_every": 80,
            "report_every": 40, "clip": 1.0},
  "decode": {"beam": 3}
}
END
train=(train --recipe "$work/recipe.json" --data "$work/data" --quiet --threads 1)

# It learns the words, says them, and its weights lie on the right ones.
run 0 "${train[@]}" --out "$work/gru"
run 0 translate --model "$work/gru" "tom chases the mouse ."
has "$work/out" "tomo pelas la muso ."
run 0 translate --model "$work/gru" --beam 5 --n-best 2 "the big cat"
lines "$work/out" 2
run 0 translate --model "$work/gru" --alignment moses "tom sees a dog ."
has "$work/out" "0-0 1-1 2-2 3-3"
run 0 eval --model "$work/gru" --data "$work/data" --split test --metric bleu,perplexity --json
json "$work/out" '[s["score"] for s in d["scores"] if s["name"] == "BLEU"][0] > 95'
run 0 show --model "$work/gru" "tom sees a dog ."
has "$work/out" "cross attention"
run 0 show --model "$work/gru" --target "muso" --svg "$work/look.svg" "the mouse"
holds grep -q '</svg>' "$work/look.svg"
fails 1 "no encoder attention, so there are no weights to look at; it has cross attention" \
    show --model "$work/gru" --kind encoder "tom sees a dog ."
json "$work/gru/config.json" 'd["attend"]["model"]["family"] == "recurrent" and d["model_type"] == "attend"'
sed -i 's/"attention": "bahdanau"/"attention": "luong"/' "$work/gru/config.json"
fails 1 "model.safetensors" translate --model "$work/gru" "tom"

# Stopped and continued: the same bits, with dropout and sampled words too, whatever the threads.
sampled=(--max-steps 40 --valid-every 20 --set model.cell=lstm --set model.dropout=0.2 --set model.sampling=0.5
    --set model.sampling_steps=20 --set model.sampling_draw=true)
run 0 "${train[@]}" "${sampled[@]}" --out "$work/one"
cp -R "$work/one" "$work/two"
rm -rf "$work/two/checkpoints/step-40"
run 0 train --resume --out "$work/two" --quiet --threads 2
holds cmp -s "$work/one/checkpoints/step-40/model.safetensors" "$work/two/checkpoints/step-40/model.safetensors"
holds cmp -s "$work/one/checkpoints/step-40/optimizer.safetensors" "$work/two/checkpoints/step-40/optimizer.safetensors"

# One word away from the Transformer's recipe.
recipe >"$work/other.json"
run 0 train --recipe "$work/other.json" --data "$work/data" --out "$work/other" --set model.family=recurrent \
    --set model.embedding=16 --max-steps 3 --valid-every 0 --warmup 0
has "$work/err" "model.family recurrent has no d_model, ffn, heads"
json "$work/other/config.json" 'd["attend"]["model"]["family"] == "recurrent" and d["attend"]["model"]["encoder_layers"] == 1'

# One vector for the whole source: it trains and translates, and has no weights to show.
run 0 "${train[@]}" --out "$work/none" --max-steps 30 --set model.attention=none --set model.context=pool
run 0 translate --model "$work/none" "tom chases the mouse ."
lines "$work/out" 1
# Every way of asking for weights says so before anything is printed, an empty line or pair included.
printf 'tom sees\ttomo vidas\n' >"$work/pair.tsv"
printf '\t\n' >"$work/empty.tsv"
echo "0-0 1-1" >"$work/pair.align"
for how in moses soft json; do
    fails 1 "model.attention bahdanau or luong" translate --model "$work/none" --alignment "$how" "tom sees a dog ."
    holds [ ! -s "$work/out" ]
done
fails 1 "no cross attention" translate --model "$work/none" --alignment moses ""
fails 1 "no cross attention" translate --model "$work/none" --replace-unk "tom sees a dog ."
fails 1 "no cross attention" align --model "$work/none" "$work/pair.tsv"
fails 1 "no cross attention" align --model "$work/none" "$work/empty.tsv"
fails 1 "no attention" align --model "$work/none" --choose "$work/pair.align" --words spaced "$work/pair.tsv"
fails 1 "no cross attention" show --model "$work/none" "tom sees a dog ."
fails 1 "model.attention bahdanau or luong" show --model "$work/none" --kind encoder "tom sees a dog ."
fails 1 "no attention" show --model "$work/none" --html "$work/none.html" "tom sees a dog ."
fails 1 "no attention" show --model "$work/none" --heads "$work/pair.tsv"
holds [ ! -e "$work/none.html" ]
run 0 "${train[@]}" --out "$work/luong" --max-steps 30 --set model.attention=luong --set model.score=general \
    --set model.align=local-p --set model.window=2
run 0 show --model "$work/luong" "tom sees a dog ."

fails 1 "model.window" "${train[@]}" --out "$work/bad" --set model.align=local-m --set model.window=0
fails 1 "of one width; got 48 and 24" "${train[@]}" --out "$work/bad" --set model.score=dot --set model.keys=inputs
fails 1 "choose model.context 'map'" "${train[@]}" --out "$work/bad" --set model.attention=none \
    --set model.use=initial --set model.decoder_hidden=40
fails 2 "bahdanau" "${train[@]}" --out "$work/bad" --set model.attention=banana
fails 2 "family" "${train[@]}" --out "$work/bad" --set model.family=convolution
holds [ ! -e "$work/bad" ]

finish
