#!/bin/bash
# attend train on one text, then attend generate and eval --text: streams, documents, prompts, options, bad input.
attend=$1
. "$(dirname "$0")/common.sh"

text=$work/text
mkdir -p "$text"
for i in $(seq 400); do
    printf 'one two three four five six seven\n'
    [ $((i % 4)) = 0 ] && printf 'né à Nîmes, 北京 and back\n'
done >"$text/input.txt"
cat >"$work/recipe.json" <<'END'
{
  "model": {"family": "decoder", "layers": 2, "d_model": 32, "ffn": 64, "heads": 2, "max_length": 48,
            "positions": "rotary", "norm": "rms", "activation": "swiglu", "biases": false},
  "tokenizer": {"type": "byte"},
  "data": {"layout": "stream", "train": "input", "valid_part": 0.1, "max_length": 48, "batch_tokens": 768},
  "train": {"seed": 1, "lr": 0.01, "schedule": "cosine", "warmup": 10, "max_steps": 120, "valid_every": 60,
            "optimiser": "adamw", "weight_decay": 0.01, "clip": 1.0, "z_loss": 0.0001}
}
END
run 0 train --recipe "$work/recipe.json" --data "$text" --out "$work/m" --quiet
tail -n 1 "$work/m/log.jsonl" >"$work/last"
json "$work/last" 'd["valid_loss"] < 0.5'
json "$work/m/config.json" 'd["attend"]["data"]["layout"] == "stream"'
# The validation of the training is that of eval --text on the text's end.
python3 - "$text/input.txt" "$work/end.txt" <<'END' 2>/dev/null
import sys
t = open(sys.argv[1], encoding="utf-8").read()
open(sys.argv[2], "w", encoding="utf-8").write(t[int(len(t) * 0.9):])
END
if [ -s "$work/end.txt" ]; then
    run 0 eval --model "$work/m" --metric perplexity --text "$work/end.txt" --json
    cp "$work/out" "$work/score"
    run 0 info --model "$work/m" --json
    loss=$(sed -n 's/.*"valid_loss": *\([0-9.]*\).*/\1/p' "$work/last")
    json "$work/score" "abs(d['loss'] - $loss) < 0.02 and d['bits_per_byte'] < d['bits_per_character']"
fi

# Killed and resumed: the same model.
cp -R "$work/m" "$work/again"
rm -rf "$work/again/checkpoints/step-120"
run 0 train --resume --out "$work/again" --quiet
holds cmp -s "$work/m/model.safetensors" "$work/again/model.safetensors"

m=$work/m
run 0 generate --model "$m" --temperature 0 --max-tokens 100 "one two "
has "$work/out" "three four five six seven"
cp "$work/out" "$work/greedy"
for how in "--chunk 1" "--chunk 3" "--threads 1" "--batch 1" "--cache bf16" "--weights bf16" \
    "--cache bf16 --weights bf16 --chunk 5"; do
    run 0 generate --model "$m" --temperature 0 --max-tokens 100 $how "one two "
    holds cmp -s "$work/greedy" "$work/out"
done
printf 'one two ' >"$work/prompt"
run 0 generate --model "$m" --temperature 0 --max-tokens 100 <"$work/prompt"
holds cmp -s "$work/greedy" "$work/out"
run 0 generate --model "$m" --temperature 0 --max-tokens 20 --echo "one two "
holds grep -q '^one two three' "$work/out"

# Half a character is never printed: cut anywhere, the text is valid UTF-8.
for n in 1 2 3 4 5 6 7 8; do
    run 0 generate --model "$m" --temperature 0 --max-tokens $n "né à Nîmes, "
    holds iconv -f UTF-8 -t UTF-8 "$work/out" -o "$work/valid"
done

# Seeds, samples, several prompts, stop strings.
run 0 generate --model "$m" --seed 7 --max-tokens 40 "one"
cp "$work/out" "$work/seven"
run 0 generate --model "$m" --seed 7 --max-tokens 40 "one"
holds cmp -s "$work/seven" "$work/out"
run 0 generate --model "$m" --samples 2 --max-tokens 8 --top-k 3 --top-p 0.9 --min-p 0.05 --typical 0.95 --repetition 1.1 "one" "two"
holds [ "$(grep -c '^== prompt' "$work/out")" = 4 ]
run 0 generate --model "$m" --temperature 0 --max-tokens 60 --stop 'five' --json "one two "
json "$work/out" 'd["text"] == "three four " and d["ends"] == "stop"'
run 0 generate --model "$m" --temperature 0 --max-tokens 30 --stop 'never met' --json "one two "
json "$work/out" 'd["ends"] == "length"'
run 0 generate --model "$m" --temperature 0 --max-tokens 40 --stop '\n' --json "one two "
json "$work/out" '"\n" not in d["text"] and d["ends"] == "stop"'
run 0 generate --model "$m" --temperature 0 --max-tokens 3 --logprobs --json "one two "
json "$work/out" 'len(d["tokens"]) == 3 and all(t["logprob"] <= 0 for t in d["tokens"])'
run 0 generate --model "$m" --temperature 0 --max-tokens 3 --logprobs "one two "
lines "$work/out" 3
printf 'one\ntwo\n' >"$work/two"
run 0 generate --model "$m" --lines --max-tokens 5 --json <"$work/two"
lines "$work/out" 2
run 0 generate --model "$m" --interactive --max-tokens 5 <"$work/two"
holds [ "$(wc -l <"$work/out")" -ge 2 ]

# An empty prompt begins a text; one longer than the context is read from its end, and that is said; or refused.
run 0 generate --model "$m" --max-tokens 5 ""
long=$(printf 'one two three four five six seven %.0s' 1 2 3)
run 0 generate --model "$m" --temperature 0 --max-tokens 100 "$long"
has "$work/err" "the model read its last 48"
fails 1 "the model's context is 48" generate --model "$m" --window refuse "$long"
run 0 generate --model "$m" --window refuse --ignore-end --max-tokens 100 --json "one"
json "$work/out" 'd["ends"] == "context"'
for window in roll again; do
    run 0 generate --model "$m" --window $window --temperature 0 --ignore-end --max-tokens 200 --json "one two "
    json "$work/out" 'd["ends"] == "length" and len(d["text"]) > 190'
done
holds [ "$(grep -c '"num_beams"\|"decode"' "$m/config.json")" = 0 ]
# What a decoder looked at, over a text, and over what it writes on.
run 0 show --model "$m" "one two three"
has "$work/out" "decoder self-attention, mean of all layers"
run 0 show --model "$m" --write 9 --layer 1 --head 0 --pieces --json "one two "
json "$work/out" 'd["kind"] == "decoder" and d["translation"] == "one two three fou" and len(d["rows"]) == 16'
json "$work/out" 'all(not any(r[i + 1:]) for i, r in enumerate(d["weights"]))'
run 0 show --model "$m" --rollout --html "$work/look.html" --write 4 "one two "
has "$work/look.html" '"kind":"decoder"'
run 0 show --model "$m" --heads "$text/input.txt"
has "$work/out" "decoder"
fails 1 "longer than the model reaches, 48" show --model "$m" --write 48 "one two "
fails 1 "no target" show --model "$m" --target "x" "one"
fails 1 "invalid UTF-8 at byte 4" generate --model "$m" "$(printf 'one\xff')"
fails 2 "temperature" generate --model "$m" --temperature -1 "one"
fails 2 "top_p" generate --model "$m" --top-p 0 "one"
fails 2 "--model" generate "one"
fails 2 "standard input" generate --model "$m" --lines "one"
fails 1 "nosuch" generate --model "$work/nosuch" "one"
fails 1 "option 'stop'" generate --model "$m" --stop "" "one"

# Documents: each line by itself, <s> before and </s> behind.
sed 's/"layout": "stream"/"layout": "documents", "document": "line"/' "$work/recipe.json" >"$work/lines.json"
run 0 train --recipe "$work/lines.json" --data "$text" --out "$work/d" --quiet
run 0 generate --model "$work/d" --temperature 0 --max-tokens 60 --json "one two"
json "$work/out" 'd["ends"] == "said"'
run 0 eval --model "$work/d" --metric perplexity --text "$text/input.txt" --json
json "$work/out" 'd["texts"] == 500 and d["pieces"] > d["bytes"]'

# Recipes that do not go together.
sed 's/"layout": "stream", //; s/"valid_part": 0.1, //' "$work/recipe.json" >"$work/bad.json"
fails 1 "data.layout" train --recipe "$work/bad.json" --data "$text" --out "$work/new" --quiet
fails 1 "none.txt" train --recipe "$work/recipe.json" --set data.train=none --data "$text" --out "$work/new" --quiet
fails 1 "more than the model reaches" train --recipe "$work/recipe.json" --set data.max_length=64 --data "$text" --out "$work/new" --quiet
finish
