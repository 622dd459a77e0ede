#!/bin/bash
# Recurrent visual attention from IDX files to a picture of where it looked: train, show.
attend=$1
. "$(dirname "$0")/common.sh"

# Bytes of a number, high one first.
big() {
    printf "\\x$(printf %x $(($1 >> 24 & 255)))\\x$(printf %x $(($1 >> 16 & 255)))"
    printf "\\x$(printf %x $(($1 >> 8 & 255)))\\x$(printf %x $(($1 & 255)))"
}

# Three marks of 6 x 6 pixels, over and over: SPLIT-images-idx3-ubyte and -labels-idx1-ubyte. The middle of each tells
# them apart.
marks() {
    local split=$1 count=$2 i
    local edge='\xff\xff\xff\xff\xff\xff' side='\xff\x00\x00\x00\x00\xff'
    local dot='\xff\x00\xff\xff\x00\xff' bar='\xff\xff\xff\xff\xff\xff'
    local kinds=("$edge$side$dot$dot$side$edge" "$edge$side$side$side$side$edge" "$edge$side$bar$side$side$edge")
    {
        printf '\x00\x00\x08\x03'
        big "$count"
        big 6
        big 6
        for ((i = 0; i < count; i++)); do printf "${kinds[i % 3]}"; done
    } >"$work/data/$split-images-idx3-ubyte"
    {
        printf '\x00\x00\x08\x01'
        big "$count"
        for ((i = 0; i < count; i++)); do printf "\\x0$((i % 3))"; done
    } >"$work/data/$split-labels-idx1-ubyte"
}
mkdir "$work/data"
marks train 240
marks test 30

cat >"$work/recipe.json" <<'END'
{
  "model": {"family": "glimpse", "image_height": 14, "image_width": 14, "glimpses": 2, "glimpse_size": 6,
            "scales": 2, "what": 32, "where": 16, "glimpse_width": 32, "width": 32, "locator": 32},
  "data": {"train": "train", "valid": "test"},
  "pictures": {"batch": 48, "normalise": "unit", "canvas": true},
  "train": {"seed": 1, "lr": 0.005, "schedule": "linear", "max_steps": 400, "valid_every": 400, "report_every": 100,
            "best_by": "accuracy"}
}
END
run 0 train --recipe "$work/recipe.json" --data "$work/data" --out "$work/model" --quiet --json --threads 1
json "$work/out" 'd["accuracy"] > 0.85'
holds [ "$(wc -c <"$work/model/model.safetensors")" -lt 100000 ]
run 0 train --recipe "$work/recipe.json" --data "$work/data" --out "$work/again" --threads 3 --profile
has "$work/err" "pictures/s"
holds grep -q "pictures: [0-9]* made, 0 left out; updates waited [0-9.]* s of" "$work/err"
holds cmp "$work/model/model.safetensors" "$work/again/model.safetensors"

# Kept in bf16, and trained with products of bf16.
run 0 quantize --out "$work/half" "$work/model"
run 0 eval --model "$work/half" --data "$work/data" --split test --json
json "$work/out" 'd["scores"][0]["score"] > 0.85'
run 0 train --recipe "$work/recipe.json" --data "$work/data" --out "$work/mixed" --set train.precision=bf16 --quiet --json
json "$work/out" 'd["accuracy"] > 0.85'

image=$work/data/test-images-idx3-ubyte
run 0 show --model "$work/model" "$image:4"
lines "$work/out" 4
has "$work/out" "glimpse      x      y"
has "$work/out" "      1   0.00   0.00   4-9, 4-9; 1-12, 1-12"
run 0 show --model "$work/model" --json "$image:4"
json "$work/out" 'len(d["path"]) == 2 and len(d["path"][0]) == 2 and abs(sum(d["probabilities"].values()) - 1) < 1e-5'
run 0 show --model "$work/model" --json --samples 20 "$image:4"
json "$work/out" 'abs(sum(d["probabilities"].values()) - 1) < 1e-5'
run 0 info
if grep -q '^png .*[0-9]' "$work/out"; then
    run 0 show --model "$work/model" --svg "$work/path.svg" --png "$work/path.png" "$image:4"
    holds [ ! -s "$work/out" ]
    has "$work/path.svg" 'class="frame"'
    holds [ "$(head -c 4 "$work/path.png" | tail -c 3)" = PNG ]
    run 0 show --model "$work/model" --json "$work/path.png"
fi
# Of an IDX file one picture, or all.
run 0 classify --model "$work/model" "$image:4" --quiet
holds [ "$(cut -f1 "$work/out")" = "$image:4" ]
run 0 classify --model "$work/model" --json "$image" --quiet
lines "$work/out" 30
holds [ "$(sed -n 5p "$work/out" | grep -c "idx3-ubyte:4\"")" = 1 ]
fails 1 "it has pictures 0 to 29" classify --model "$work/model" "$image:30"
fails 1 "it has pictures 0 to 29" show --model "$work/model" "$image:30"
fails 1 "$work/recipe.json" show --model "$work/model" "$work/recipe.json"
fails 1 "missing.png" show --model "$work/model" "$work/missing.png"
fails 2 "one PICTURE" show --model "$work/model" a b
fails 2 "option 'samples'" show --model "$work/model" --samples 0 "$image:4"
fails 1 "pictures.canvas: 5 pixels are too few" train --recipe "$work/recipe.json" --data "$work/data" \
    --out "$work/none" --quiet --set model.image_height=5 --set model.image_width=5
holds [ ! -e "$work/none" ]
finish
