#!/bin/bash
# A model folder that is missing, cut short, or damaged: exit code 1 and one line that names the file, never a crash.
attend=$1
. "$(dirname "$0")/common.sh"
need_model

fresh() {
    rm -rf "$work/m"
    mkdir "$work/m"
    cp "$model"/config.json "$model"/model.safetensors "$model"/tokenizer.json "$work/m/"
}

# size FILE
size() {
    wc -c <"$1" | tr -d ' '
}

fresh
run 0 translate --model "$work/m" "tom ."
fails 1 "$work/nosuch" translate --model "$work/nosuch" "tom ."
fails 1 "/dev/null" translate --model /dev/null "tom ."
mkdir "$work/empty"
fails 1 "$work/empty" translate --model "$work/empty" "tom ."
fails 1 "" translate --model "" "tom ."

for file in config.json model.safetensors tokenizer.json; do
    fresh
    rm "$work/m/$file"
    fails 1 "$work/m" translate --model "$work/m" "tom ."
    mkdir "$work/m/$file"
    fails 1 "$work/m" translate --model "$work/m" "tom ."
    fresh
    whole=$(size "$work/m/$file")
    for length in 0 1 2 7 8 9 10 100 $((whole / 4)) $((whole / 2)) $((whole - 100)) $((whole - 2)); do
        head -c "$length" "$model/$file" >"$work/m/$file"
        fails 1 "$file" translate --model "$work/m" "tom ."
    done
    cp "$model/$file" "$work/m/$file"
    if [ "$file" = model.safetensors ]; then
        printf x >>"$work/m/$file"
        fails 1 "$file" translate --model "$work/m" "tom ."
    fi
    # Files of another kind.
    for other in config.json model.safetensors tokenizer.json; do
        [ "$other" = "$file" ] && continue
        cp "$model/$other" "$work/m/$file"
        fails 1 "$file" translate --model "$work/m" "tom ."
    done
done

# Bytes flipped: either it works all the same (a weight, a word of the vocabulary) or it says so in one line.
seed=${AT_TEST_SEED:-1}
random() { # random LIMIT: sets $r
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    r=$(((seed / 65536) % $1))
}
for file in config.json model.safetensors tokenizer.json; do
    whole=$(size "$model/$file")
    limit=$whole
    [ "$file" = model.safetensors ] && limit=4000 # the header, where damage means something
    for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        fresh
        for _ in 1 2; do
            random $((limit < 30000 ? limit : 30000))
            at=$r
            random 256
            printf "\\x$(printf %02x "$r")" | dd of="$work/m/$file" bs=1 seek="$at" conv=notrunc 2>/dev/null
        done
        checks=$((checks + 1))
        "$attend" translate --model "$work/m" --beam 1 "tom sees the cat ." >"$work/out" 2>"$work/err"
        code=$?
        if [ $code = 0 ]; then
            [ "$(wc -l <"$work/out")" = 1 ] || complain "$file damaged: not one line"
        elif [ $code != 1 ] || [ "$(wc -l <"$work/err")" != 1 ]; then
            cp "$work/m/$file" "${AT_BUILD_DIR:-/tmp}/Testing/damaged-$file" 2>/dev/null
            complain "$file damaged at $at: exit code $code"
        fi
    done
done

# Numbers out of their limits, fields of the wrong kind.
change() { # change SED-EXPRESSION WORDS
    fresh
    sed -E "$1" "$model/config.json" >"$work/m/config.json"
    if cmp -s "$model/config.json" "$work/m/config.json"; then
        complain "config.json has nothing for $1"
        return
    fi
    fails 1 "$2" translate --model "$work/m" "tom ."
    has "$work/err" "config.json"
}
change 's/"heads": *2/"heads": 5/' heads
change 's/"heads": *2/"heads": 0/' heads
change 's/"d_model": *32/"d_model": 64/g' model
change 's/"d_model": *32/"d_model": 99999999/g' d_model
change 's/"ffn": *64/"ffn": -1/' ffn
change 's/"ffn": *64/"ffn": "64"/' ffn
change 's/"vocab_size": *[0-9]*/"vocab_size": 1000000000000/' vocab_size
change 's/"eos_token_id": *2/"eos_token_id": 5000/' eos_token_id
change 's/"family": *"transformer"/"family": "perceptron"/' transformer
change 's/"beam": *4/"beam": 400/' beam
change 's/"attend"/"attent"/' attend

# A model whose numbers are no numbers says so instead of saying nonsense.
fresh
tr '\0' '\377' </dev/zero | head -c 8192 >"$work/nans"
header=$(od -An -tu8 -N8 "$model/model.safetensors")
dd if="$work/nans" of="$work/m/model.safetensors" bs=1 seek=$((8 + header)) conv=notrunc 2>/dev/null
fails 1 "model.shared.weight" info --check "$work/m"
fails 1 "finite" translate --model "$work/m" "tom sees the cat ."
fails 1 "finite" show --model "$work/m" "tom sees the cat ."

# A pickle is refused by name: opening one would run code.
fresh
mv "$work/m/model.safetensors" "$work/m/pytorch_model.bin"
fails 1 "safetensors" translate --model "$work/m" "tom ."
fresh
chmod a-r "$work/m/config.json"
if [ ! -r "$work/m/config.json" ]; then # root reads it all the same
    fails 1 "config.json" translate --model "$work/m" "tom ."
fi

finish
