#!/bin/bash
# attend tokenize: learn, cut, join again; wrong usage and bad files. usage: test_tokenize.sh PROGRAM
set -u
program=$1
data=$AT_SOURCE_DIR/tests/data/text
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
bad=0

expect() { # what, want, got
    if [ "$2" != "$3" ]; then
        printf '%s\n  want: %s\n  got:  %s\n' "$1" "$2" "$3"
        bad=1
    fi
}

fails() { # exit code, part of the message, words…
    local want=$1 part=$2 message
    shift 2
    message=$("$program" tokenize "$@" 2>&1 >/dev/null </dev/null)
    expect "exit code of $*" "$want" $?
    case $message in
    *"$part"*) ;;
    *) expect "message of $*" "$part" "$message" ;;
    esac
}

t=$folder/tokenizer.json
"$program" tokenize --train "$data/train.txt" --vocab-size 400 --out "$t" --quiet || bad=1
expect "ids and back" "$(cat "$data/train.txt")" \
    "$("$program" tokenize --tokenizer "$t" --ids <"$data/train.txt" | "$program" tokenize --tokenizer "$t" --decode)"
expect "a line each" "$(wc -l <"$data/train.txt")" "$("$program" tokenize --tokenizer "$t" <"$data/train.txt" | wc -l)"
expect "a folder" "a ▁b" "$("$program" tokenize --model "$folder" "a b")"
expect "closed" "2" "$("$program" tokenize --model "$folder" --ids --close "")"
expect "JSON" '{"pieces":["a"],"ids":[68]}' "$("$program" tokenize --model "$folder" --json a)"
for type in char word; do
    "$program" tokenize --train "$data/train.txt" --type $type --vocab-size 3000 --out "$folder/$type.json" --quiet || bad=1
    expect "$type" "had slept" "$("$program" tokenize --tokenizer "$folder/$type.json" --ids "had slept" |
        "$program" tokenize --tokenizer "$folder/$type.json" --decode)"
done

fails 2 "--model FOLDER"
fails 2 "--out FILE" --train "$data/train.txt"
fails 2 "vocab_size 10" --train "$data/train.txt" --out "$folder/x.json" --vocab-size 10
fails 2 "one of --ids" --model "$folder" --ids --decode
fails 1 "absent" --tokenizer "$folder/absent.json" x
fails 1 "train.txt" --tokenizer "$data/train.txt" x
fails 1 "'x' is not a token id" --model "$folder" --decode "1 x"
fails 1 "outside the vocabulary" --model "$folder" --decode "1 4000"
printf 'good\nb\344d\n' >"$folder/latin1"
fails 1 "latin1:2: invalid UTF-8" --train "$folder/latin1" --out "$folder/x.json"
[ -e "$folder/x.json" ] && expect "nothing written" "" "$folder/x.json"
exit $bad
