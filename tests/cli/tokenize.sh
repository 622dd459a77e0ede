#!/bin/bash
# attend tokenize: pieces, ids and back, learning.
attend=$1
. "$(dirname "$0")/common.sh"
need_model

run 0 tokenize --model "$model" --ids <"$data/test.en"
lines "$work/out" 60
cp "$work/out" "$work/ids"
holds grep -qE '^[0-9]+( [0-9]+)*$' "$work/ids"
run 0 tokenize --model "$model" --decode <"$work/ids"
holds cmp -s "$work/out" "$data/test.en"
run 0 tokenize --model "$model" "tom sees ."
has "$work/out" "▁sees"
run 0 tokenize --tokenizer "$model/tokenizer.json" --ids --close "tom ."
holds grep -qE ' 2$' "$work/out"
run 0 tokenize --model "$model" --json "tom sees ."
json "$work/out" 'isinstance(d, (dict, list))'
# Any text comes back, whatever it is; empty lines too.
printf 'a\n\n  b  c \n\xe6\xb1\xa4\xf0\x9f\x98\x80 \xc3\xa4\n</s>\n\x01\x7f\ttab\n' >"$work/odd"
run 0 tokenize --model "$model" --ids <"$work/odd"
lines "$work/out" 6
cp "$work/out" "$work/ids"
run 0 tokenize --model "$model" --decode <"$work/ids"
holds cmp -s "$work/out" "$work/odd"

# Learning: the same file again, and ids of it.
run 0 tokenize --train "$data/train.en" "$data/train.xx" --vocab-size 300 --out "$work/t.json"
json "$work/t.json" 'd["model"]["type"] == "BPE" and len(d["model"]["vocab"]) <= 300 and d["model"]["vocab"]["<pad>"] == 0'
run 0 tokenize --train "$data/train.en" "$data/train.xx" --vocab-size 300 --out "$work/u.json" --threads 1
holds cmp -s "$work/t.json" "$work/u.json"
run 0 tokenize --tokenizer "$work/t.json" --ids "tom sees ."
holds grep -qE '^[0-9 ]+$' "$work/out"

fails 2 "--model" tokenize "tom ."
fails 2 "unknown flag" tokenize --model "$model" --frob 1
fails 2 "--out" tokenize --train "$data/train.en" --vocab-size 300
fails 1 "nosuch" tokenize --model "$work/nosuch" "tom ."
fails 1 "nosuch" tokenize --train "$work/nosuch" --vocab-size 300 --out "$work/v.json"
fails 1 "/dev/null/" tokenize --train "$data/train.en" --vocab-size 300 --out /dev/null/v.json
printf 'ok\nj\xff\n' >"$work/bad"
fails 1 "bad:2" tokenize --train "$work/bad" --vocab-size 300 --out "$work/v.json"
holds [ ! -e "$work/v.json" ]
printf '99999\n' >"$work/bad"
fails 1 "99999" tokenize --model "$model" --decode <"$work/bad"
printf 'one two\n' >"$work/bad"
fails 1 "line 1" tokenize --model "$model" --decode <"$work/bad"
fails 1 "standard input" tokenize --model "$model" --ids <&-
if [ -e /dev/full ]; then
    checks=$((checks + 1))
    "$attend" tokenize --model "$model" "tom ." >/dev/full 2>"$work/err"
    [ $? = 1 ] && has "$work/err" "standard output" || complain "a full disk is not told"
fi

finish
