#!/bin/bash
# attend translate: one line out for each line in, n-best, alignments, odd input, broken streams.
attend=$1
. "$(dirname "$0")/common.sh"
need_model

# Lines in, lines out, in order; an argument is a line too.
run 0 translate --model "$model" <"$data/test.en"
lines "$work/out" 60
cp "$work/out" "$work/plain"
run 0 translate --model "$model" "tom sees the cat ."
lines "$work/out" 1
holds grep -q '^tomo vidas la kato' "$work/out"
run 0 translate --model "$model" "tom ." "jerry ."
lines "$work/out" 2

# Most of what the small model says is right: 40 of 60 lines word for word.
right=$(paste -d '\t' "$work/plain" "$data/test.xx" | awk -F '\t' '$1 == $2' | wc -l)
holds [ "$right" -ge 40 ]

# --profile changes nothing but stderr, where every operation has its line.
run 0 translate --model "$model" --profile <"$data/test.en"
holds cmp -s "$work/out" "$work/plain"
holds grep -q '^linear .* %' "$work/err"
holds grep -q '^together .* 100.0 %' "$work/err"

# Neither batch nor threads nor the way lines come in changes the text.
for flags in "--batch 1" "--batch 7 --threads 3" "--threads 1"; do
    # shellcheck disable=SC2086
    run 0 translate --model "$model" $flags <"$data/test.en"
    holds cmp -s "$work/out" "$work/plain"
done
(
    head -n 3 "$data/test.en"
    sleep 0.3
    tail -n +4 "$data/test.en"
) | "$attend" translate --model "$model" >"$work/out" 2>"$work/err"
holds cmp -s "$work/out" "$work/plain"

# Empty lines, blank lines, CRLF, a last line without end, a very long line, bytes that are odd but valid.
printf 'tom .\n\n   \njerry .\r\n\t\nthe cat .' >"$work/odd"
run 0 translate --model "$model" <"$work/odd"
lines "$work/out" 6
holds [ "$(sed -n 1p "$work/out")" != "" ]
for n in 2 3 5; do
    holds [ "$(sed -n ${n}p "$work/out")" = "" ]
done
holds [ "$(sed -n 4p "$work/out")" = "$("$attend" translate --model "$model" "jerry .")" ]
awk 'BEGIN { for (i = 0; i < 400; i++) printf "tom sees the cat . "; print ""; print "tom ." }' >"$work/long"
run 0 translate --model "$model" --beam 1 <"$work/long"
lines "$work/out" 2
holds [ "$(sed -n 1p "$work/out" | wc -w)" -gt 800 ]
awk 'BEGIN { for (i = 0; i < 3000; i++) printf "x"; print "" }' >"$work/nospace"
run 0 translate --model "$model" --beam 1 <"$work/nospace"
lines "$work/out" 1
printf '\xf0\x9f\x98\x80\xe6\xb1\xa4 \xef\xbb\xbf\xc2\x85 \x01\x7f\n' >"$work/signs"
run 0 translate --model "$model" --beam 1 <"$work/signs"
lines "$work/out" 1
run 0 translate --model "$model" </dev/null
lines "$work/out" 0

# n-best: K lines for each line, scores falling.
run 0 translate --model "$model" --beam 4 --n-best 3 <"$data/test.en"
lines "$work/out" 180
holds [ "$(awk -F ' [|][|][|] ' '{ if ($1 == last && $3 > score + 0.00005) n++; last = $1; score = $3 } END { print n + 0 }' "$work/out")" = 0 ]
holds [ "$(awk -F ' [|][|][|] ' '$1 == 59' "$work/out" | wc -l)" = 3 ]
holds [ "$(awk -F ' [|][|][|] ' '{ print $1 "|" $2 }' "$work/out" | sort | uniq -d | wc -l)" = 0 ]
printf 'tom .\n\njerry .\n' >"$work/gap"
run 0 translate --model "$model" --beam 4 --n-best 2 <"$work/gap"
holds [ "$(cut -d ' ' -f 1 "$work/out" | tr '\n' ' ')" = "0 0 1 2 2 " ]
run 0 translate --model "$model" --scores "tom ."
holds grep -qE ' \|\|\| -[0-9.]+$' "$work/out"
run 0 translate --model "$model" --max-length 2 "tom sees the cat ."
holds [ "$(wc -w <"$work/out")" -le 2 ]

# Alignments.
run 0 translate --model "$model" --alignment moses "tom sees the cat ."
holds grep -qE ' \|\|\| 0-0 1-1 2-2' "$work/out"
run 0 translate --model "$model" --alignment soft "tom sees the cat ."
holds [ "$(sed 's/.* ||| //' "$work/out" | tr ' ' '\n' |
    awk -F , '{ s = 0; for (i = 1; i <= NF; i++) s += $i; if (s < 0.998 || s > 1.002 || NF != 6) n++ } END { print n + 0 }')" = 0 ]
run 0 translate --model "$model" --alignment moses <"$work/gap"
lines "$work/out" 3
run 0 translate --model "$model" --json --alignment json "tom sees the cat ."
json "$work/out" 'd["line"] == 0 and len(d["source"]) == 6 and len(d["weights"]) == len(d["target"])'
json "$work/out" 'all(abs(sum(row) - 1) < 1e-4 for row in d["weights"])'
run 0 translate --model "$model" --json --layer 1 --head 0 --alignment json "tom ."
json "$work/out" '"weights" in d'
run 0 translate --model "$model" --json <"$data/test.en"
lines "$work/out" 60
tail -n 1 "$work/out" >"$work/last"
json "$work/last" 'd["line"] == 59 and d["score"] <= 0'
fails 1 "layer" translate --model "$model" --alignment moses --layer 9 "tom ."

# Wrong usage.
fails 2 "--model FOLDER is missing" translate "tom ."
fails 2 "did you mean --beam" translate --model "$model" --baem 3 "tom ."
fails 2 "--beam wants a value" translate --model "$model" --beam
fails 2 "beam" translate --model "$model" --beam 65 "tom ."
fails 2 "beam" translate --model "$model" --beam three "tom ."
fails 2 "n-best" translate --model "$model" --beam 2 --n-best 3 "tom ."
fails 2 "alignment" translate --model "$model" --alignment hard "tom ."
fails 2 "threads" translate --model "$model" --threads 1000 "tom ."
fails 1 "kernel" translate --model "$model" --kernels nosuch "tom ."
run 0 translate --help
has "$work/out" "--n-best"

# Broken input and output.
printf 'tom .\nj\xff\n' >"$work/bad"
fails 1 "standard input:2: invalid UTF-8" translate --model "$model" <"$work/bad"
printf 'tom \0 .\n' >"$work/nul"
fails 1 "NUL" translate --model "$model" <"$work/nul"
fails 1 "standard input" translate --model "$model" <&-
if [ -e /dev/full ]; then
    checks=$((checks + 1))
    "$attend" translate --model "$model" "tom ." >/dev/full 2>"$work/err"
    [ $? = 1 ] && has "$work/err" "standard output" || complain "a full disk is not told"
fi
checks=$((checks + 1))
"$attend" translate --model "$model" "tom ." >&- 2>"$work/err"
[ $? = 1 ] && has "$work/err" "standard output" || complain "a closed output is not told"
for i in 1 2 3 4 5 6 7 8 9; do cat "$data/test.en"; done | "$attend" translate --model "$model" --beam 1 --batch 8 2>"$work/err" | head -n 1 >"$work/out"
lines "$work/out" 1
holds [ "$(wc -l <"$work/err")" -le 1 ]

finish
