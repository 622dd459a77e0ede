#!/bin/bash
# attend show: the picture in the terminal, as SVG, as JSON.
attend=$1
. "$(dirname "$0")/common.sh"
need_model

run 0 show --model "$model" "tom sees the cat ."
has "$work/out" "tomo"
has "$work/out" "cross attention, mean of all layers, mean of all heads"
holds [ "$(awk 'length($0) > 400' "$work/out" | wc -l)" = 0 ]
run 0 show --model "$model" --layer 1 --head 0 --target "tomo vidas ." "tom sees ."
has "$work/out" "layer 1, head 0"
for kind in encoder decoder cross; do
    run 0 show --model "$model" --kind "$kind" "tom sees the cat ."
    holds [ -s "$work/out" ]
    run 0 show --model "$model" --kind "$kind" --json "tom sees the cat ."
    json "$work/out" 'len(d["weights"]) == len(d["rows"]) and all(abs(sum(r) - 1) < 1e-4 for r in d["weights"])'
done
# Nobody looks ahead.
run 0 show --model "$model" --kind decoder --pieces --json "tom sees the cat ."
json "$work/out" 'all(w == 0 for i, r in enumerate(d["weights"]) for w in r[i + 1:])'
# Each word looks most at its own.
run 0 show --model "$model" --json --target "tomo vidas la kato ." "tom sees the cat ."
json "$work/out" '[max(range(6), key=r.__getitem__) for r in d["weights"]][:4] == [0, 1, 2, 3]'
json "$work/out" 'd["rows"] == ["tomo", "vidas", "la", "kato", "."]'

# SVG: a file and nothing else; with --term or --json both.
run 0 show --model "$model" --svg "$work/a.svg" "tom sees the cat ."
lines "$work/out" 0
has "$work/a.svg" "</svg>"
has "$work/a.svg" "tomo"
run 0 show --model "$model" --svg "$work/b.svg" --term "tom sees the cat ."
has "$work/out" "tomo"
holds cmp -s "$work/a.svg" "$work/b.svg"
run 0 show --model "$model" --svg "$work/c.svg" --json "tom sees the cat ."
json "$work/out" '"rows" in d'
holds cmp -s "$work/a.svg" "$work/c.svg"
run 0 show --model "$model" --svg "$work/d.svg" "a <b> & \"c\" ."
if command -v python3 >/dev/null 2>&1; then
    holds python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$work/d.svg"
fi

# PNG: a file, or a line that says what this build lacks.
if "$attend" show --model "$model" --png "$work/a.png" "tom sees the cat ." >"$work/out" 2>"$work/err"; then
    holds [ "$(head -c 8 "$work/a.png" | od -An -tx1 | tr -d ' \n')" = 89504e470d0a1a0a ]
    run 0 show --model "$model" --png "$work/b.png" --dark --svg "$work/e.svg" --term "tom sees the cat ."
    has "$work/out" "tomo"
    has "$work/e.svg" "</svg>"
    holds [ "$(wc -c <"$work/b.png")" -gt 1000 ]
else
    has "$work/err" "libpango1.0-dev"
    holds [ ! -e "$work/a.png" ]
fi

# The page: a file and nothing else, whole in itself.
run 0 show --model "$model" --html "$work/a.html" "tom sees the <cat> ."
lines "$work/out" 0
has "$work/a.html" '</html>'
has "$work/a.html" '"kind":"decoder"'
has "$work/a.html" '"layer":1,"head":1,'
holds [ "$(grep -ciE 'https?:|src=|href|url\(' "$work/a.html")" = 0 ]
holds [ "$(wc -c <"$work/a.html")" -lt 100000 ]
run 0 show --model "$model" --html "$work/b.html" --compare "$model" --term --kind encoder "tom sees the cat ."
has "$work/out" "encoder self-attention"
holds [ "$(grep -o '"source":' "$work/b.html" | wc -l)" = 2 ]
run 0 show --model "$model" --html "$work/c.html" --layer 1 --head 0 "tom sees the cat ."
has "$work/c.html" '"pick":"1.0"'
fails 1 "layer" show --model "$model" --html "$work/d.html" --layer 7 "tom ."
holds [ ! -e "$work/d.html" ]
fails 1 "/dev/null/a.html" show --model "$model" --html /dev/null/a.html "tom ."
# Rollout: rows sum to 1, nobody looks ahead, and it says what it is.
run 0 show --model "$model" --kind encoder --rollout "tom sees the cat ."
has "$work/out" "Abnar & Zuidema 2020"
run 0 show --model "$model" --kind decoder --rollout --pieces --json "tom sees the cat ."
json "$work/out" 'all(abs(sum(r) - 1) < 1e-4 and not any(r[i + 1:]) for i, r in enumerate(d["weights"]))'
has "$work/a.html" "rollout through all layers"
fails 1 "--kind encoder" show --model "$model" --rollout "tom ."
fails 2 "--kind encoder" show --model "$model" --rollout --kind cross "tom ."
fails 2 "--kind encoder" show --model "$model" --rollout --kind class "tom ."
fails 1 "learned no labels" show --model "$model" --kind class "tom ."
fails 1 "a decoder alone writes on" show --model "$model" --write 3 "tom ."
fails 2 "no --layer" show --model "$model" --rollout --kind encoder --layer 1 "tom ."
fails 2 "--html FILE" show --model "$model" --compare "$model" "tom ."
fails 1 "$work/none" show --model "$model" --compare "$work/none" --html "$work/d.html" "tom ."
holds [ ! -e "$work/d.html" ]

# What heads do, positions.
run 0 show --model "$model" --heads "$data/test.en"
has "$work/out" "most marked heads first"
lines "$work/out" 15 # of 4 cross, 2 encoder and 4 decoder heads, with five lines around
run 0 show --model "$model" --heads "$data/test.en" --json
json "$work/out" 'len(d["heads"]) == 10 and d["pairs"] == 60'
json "$work/out" '[max(v for k, v in h.items() if k in ("previous", "next", "itself", "first", "stop", "end") and v is not None) for h in d["heads"]] == sorted([max(v for k, v in h.items() if k in ("previous", "next", "itself", "first", "stop", "end") and v is not None) for h in d["heads"]], reverse=True)'
paste "$data/test.en" "$data/test.xx" >"$work/test.tsv"
run 0 show --model "$model" --heads "$work/test.tsv"
has "$work/out" "cross"
run 0 show --model "$model" --positions 16 --json
json "$work/out" 'd["positions"] == 16 and d["width"] == 32 and abs(d["dot"][0] - 16) < 1e-3'
run 0 show --model "$model" --positions 16 --svg "$work/p.svg"
lines "$work/out" 0
has "$work/p.svg" "</svg>"
run 0 show --model "$model" --positions 16 --kind decoder
has "$work/out" "position encoding of the decoder"
fails 1 "1 to 40" show --model "$model" --positions 41
fails 2 "stand alone" show --model "$model" --positions 4 "tom ."
fails 1 "/nowhere" show --model "$model" --heads /nowhere
fails 2 "want own, mean or a number" show --model "$model" --layer last "tom ."
fails 2 "--model FOLDER is missing" show "tom ."
fails 2 "want one TEXT" show --model "$model"
fails 2 "want one TEXT" show --model "$model" tom sees
fails 2 "kind" show --model "$model" --kind across "tom ."
fails 1 "empty" show --model "$model" ""
fails 1 "empty" show --model "$model" "   "
fails 1 "layer" show --model "$model" --layer 7 "tom ."
fails 1 "head" show --model "$model" --head 7 "tom ."
fails 1 "UTF-8" show --model "$model" "$(printf 'j\xff')"
fails 1 "longer than the model reaches" show --model "$model" "$(awk 'BEGIN { for (i = 0; i < 60; i++) printf "tom sees ." }')"
fails 1 "/dev/null/a.svg" show --model "$model" --svg /dev/null/a.svg "tom ."
if [ -e /dev/full ]; then
    checks=$((checks + 1))
    "$attend" show --model "$model" "tom ." >/dev/full 2>"$work/err"
    [ $? = 1 ] && has "$work/err" "standard output" || complain "a full disk is not told"
    checks=$((checks + 1))
    "$attend" show --json --model "$model" "tom ." >/dev/full 2>"$work/err"
    [ $? = 1 ] && has "$work/err" "standard output" || complain "a full disk is not told"
fi

finish
