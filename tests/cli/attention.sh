#!/bin/bash
# attend attention: numbers by hand. The golden outputs in tests/data/attention agree with the same sums made in Python;
# those that matter are checked as numbers below.
attend=$1
. "$(dirname "$0")/common.sh"
examples=$AT_SOURCE_DIR/examples/attention

for name in two-words tom library hiring sentence; do
    run 0 attention --steps "$examples/$name.json"
    holds diff "$work/out" "$AT_SOURCE_DIR/tests/data/attention/$name.txt"
    run 0 attention --steps --kernels ref "$examples/$name.json"
    holds diff "$work/out" "$AT_SOURCE_DIR/tests/data/attention/$name.txt"
done
run 0 attention --json "$examples/two-words.json"
json "$work/out" 'd["scores"] == [[28, 24]] and d["masked"] == [[14, 12]] and d["factor"] == 0.5'
json "$work/out" '[round(w, 2) for w in d["weights"][0]] == [0.88, 0.12]'
json "$work/out" 'abs(d["weights"][0][0] - 1 / (1 + 2.718281828459045 ** -2)) < 1e-6'
run 0 attention --json "$examples/tom.json"
json "$work/out" 'max(abs(a - b) for a, b in zip(d["weights"][0], [0.6, 0.2, 0.2])) < 1e-6'
json "$work/out" 'max(abs(a - b) for a, b in zip(d["sums"][0], [8, 2, 2])) < 1e-5'
run 0 attention --json "$examples/hiring.json"
json "$work/out" 'd["columns"] == ["A", "B", "C", "D"] and max(range(4), key=lambda i: d["sums"][0][i]) == 0'
run 0 attention --json "$examples/library.json"
json "$work/out" 'd["keys"][max(range(4), key=lambda i: d["weights"][0][i])] == "The Avengers"'
run 0 attention --json "$examples/sentence.json"
json "$work/out" 'd["keys"].count("be") == 2 and d["keys"][max(range(11), key=lambda i: d["weights"][0][i])] == "Law"'

# What flags change.
run 0 attention --no-scale --json "$examples/two-words.json"
json "$work/out" 'd["masked"] == [[28, 24]] and d["factor"] == 1'
run 0 attention --score cosine --json "$examples/two-words.json"
json "$work/out" 'abs(d["scores"][0][0] - 28 / (40 * 21) ** 0.5) < 1e-6'
run 0 attention --normalise sparsemax --json "$examples/two-words.json"
json "$work/out" 'd["weights"] == [[1, 0]]'
run 0 attention --mask 01 --json "$examples/two-words.json"
json "$work/out" 'd["masked"] == [[None, 12]] and d["weights"] == [[0, 1]] and d["sums"] == [[0, 4, 1]]'
run 0 attention --mask 00 --json "$examples/two-words.json"
json "$work/out" 'd["weights"] == [[0, 0]] and d["sums"] == [[0, 0, 0]]'
run 0 attention --local local-m --reach 1 --mask causal --json "$examples/sentence.json"
json "$work/out" 'd["weights"][0] == [1] + [0] * 10'
run 0 attention --local local-p --seed 3 --steps "$examples/sentence.json"
has "$work/out" "under a bell around key"

# Every score: with weights by hand, and with drawn ones.
cat >"$work/own.json" <<'END'
{"queries": {"q": [1, 2]}, "keys": {"a": [3, 1], "b": [0, -1], "c": [2, 2]}, "values": {"c": [1], "b": [2], "a": [4]},
 "score": "additive",
 "weights": {"query.weight": [[1, 0]], "key.weight": [[0, 1]], "v": [2]}}
END
run 0 attention --json "$work/own.json"
json "$work/out" 'max(abs(a - b) for a, b in zip(d["scores"][0], [1.9280552, 0, 1.9901095])) < 1e-6'
json "$work/out" 'max(abs(p[0] - w * v) for p, w, v in zip(d["parts"][0], d["weights"][0], [4, 2, 1])) < 1e-6'
for score in scaled-dot dot general additive concat cosine cosine-learned location; do
    run 0 attention --score "$score" --seed 1 --json "$examples/tom.json"
    json "$work/out" 'abs(sum(d["weights"][0]) - 1) < 1e-6'
done

# The picture.
run 0 attention --svg "$work/tom.svg" "$examples/tom.json"
lines "$work/out" 0
holds grep -q '汤姆' "$work/tom.svg"
holds grep -q '0.600' "$work/tom.svg"
holds python3 -c 'import sys, xml.dom.minidom as x; x.parse(sys.argv[1])' "$work/tom.svg"
fails 1 "nosuch" attention --svg "$work/nosuch/tom.svg" "$examples/tom.json"

# The scale: without it the largest weight and the gradient's loss grow with the width, with it neither does.
run 0 attention --scale-study --json
json "$work/out" '[r["d_k"] for r in d["rows"]] == [8, 16, 32, 64, 128, 256, 512]'
json "$work/out" 'all(a["unscaled"]["largest"] < b["unscaled"]["largest"] for a, b in zip(d["rows"], d["rows"][1:]))'
json "$work/out" 'all(r["scaled"]["largest"] < 0.25 and r["scaled"]["entropy_bits"] > 4 for r in d["rows"])'
json "$work/out" 'd["rows"][6]["unscaled"]["gradient"] * 3 < d["rows"][6]["scaled"]["gradient"]'
cp "$work/out" "$work/first"
run 0 attention --scale-study --json --threads 1
holds diff "$work/out" "$work/first"
run 0 attention --scale-study
lines "$work/out" 13

# Bad input: what is wrong, and what is possible.
bad() {
    printf '%s' "$2" >"$work/bad.json"
    fails 1 "$1" attention "$work/bad.json"
}
bad "bad.json: field 'queries' is missing" '{}'
bad "want an object" '[]'
bad "field 'queries': 0 rows" '{"queries": {}, "keys": {"a": [1]}}'
bad "'q': want a list of numbers" '{"queries": {"q": []}, "keys": {"a": [1]}}'
bad "'q': entry 2 is not a number" '{"queries": {"q": [1, "x"]}, "keys": {"a": [1]}}'
bad "bad.json:1:" '{"queries": {"q": [NaN]}, "keys": {"a": [1]}}'
bad "entry 1 is too large" '{"queries": {"q": [1e39]}, "keys": {"a": [1]}}'
bad "'b': 2 numbers, but 'a' has 1" '{"queries": {"q": [1]}, "keys": {"a": [1], "b": [1, 2]}}'
bad "wants queries and keys of one width; got 1 and 2. general, additive" '{"queries": {"q": [1]}, "keys": {"a": [1, 2]}}'
bad "no row for key 'a'" '{"queries": {"q": [1]}, "keys": {"a": [1]}, "values": {"b": [1]}}'
bad "2 rows for 1 keys" '{"queries": {"q": [1]}, "keys": {"a": [1]}, "values": {"a": [1], "b": [1]}}'
bad "field 'columns': want a list of 1 names" '{"queries": {"q": [1]}, "keys": {"a": [1]}, "columns": ["x", "y"]}'
bad "mask: want 'none', 'causal', or 1 rows of 1" '{"queries": {"q": [1]}, "keys": {"a": [1]}, "mask": [[1, 0]]}'
bad "scaled-dot|dot|general" '{"queries": {"q": [1]}, "keys": {"a": [1]}, "score": "bilinear"}'
bad "unknown field 'kyes'; there are queries, keys" '{"queries": {"q": [1]}, "kyes": {"a": [1]}}'
bad "give weight (1,1) in field 'weights'" '{"queries": {"q": [1]}, "keys": {"a": [1]}, "score": "general"}'
bad "'weight' wants numbers of shape (1,2)" \
    '{"queries": {"q": [1]}, "keys": {"a": [1, 2]}, "score": "general", "weights": {"weight": [[1]]}}'
bad "learns no numbers" '{"queries": {"q": [1]}, "keys": {"a": [1]}, "weights": {"W": [[1]]}}'
bad "give weight (1,1)" '{"queries": {"q": [1]}, "keys": {"a": [1]}, "score": "general", "weights": {"W": [[1]]}}'
fails 1 "at least 1; got 0" attention --local local-m --reach 0 "$examples/tom.json"
fails 1 "only 'scaled-dot' has a scale" attention --no-scale --score dot "$examples/tom.json"
fails 1 "mask: want" attention --mask 11 "$examples/tom.json"
fails 1 "score" attention --score nosuch "$examples/tom.json"
fails 1 "reach" attention --reach x "$examples/tom.json"
fails 1 "nosuch.json" attention "$work/nosuch.json"
fails 2 "want one file" attention
fails 2 "reads no file" attention --scale-study "$examples/tom.json"

finish
