#!/bin/bash
# attend bench: each one runs, for a moment, and says what it measured.
attend=$1
. "$(dirname "$0")/common.sh"

run 0 bench attention --size translate-train --seconds 0.01
has "$work/out" "GFLOP/s"
run 0 bench attention --size decode-1x1k --seconds 0.01 --json
json "$work/out" 'd["rows"][0]["case"] == "decode-1x1k" and d["rows"][0]["forward_gflops"] > 0'
run 0 bench lengths --size 64 --seconds 0.01 --profile --svg "$work/lengths.svg"
holds grep -q "64 rows: forward" "$work/out"
holds grep -q "^attention .*backward" "$work/err"
holds grep -q "rows of the sequence" "$work/lengths.svg"
run 0 bench linformer --size 257 --seconds 0.01 --svg "$work/linformer.svg"
holds grep -q "257 rows, a block: Linformer" "$work/out"
holds grep -q "held, MB" "$work/linformer.svg"
run 0 bench vit --size linformer --seconds 0.01 --json
json "$work/out" 'd["rows"][0]["train_pictures_per_s"] > 0 and d["rows"][0]["classify_pictures_per_s"] > 0'
fails 2 "only 'bench lengths'" bench train --svg "$work/x.svg"
run 0 bench translate --size tiny --seconds 0.01 --json --threads 2
json "$work/out" '[(r["batch"], r["beam"]) for r in d["rows"]] == [(1, 1), (1, 5), (32, 1), (32, 5)]'
json "$work/out" 'all(r["tokens_per_s"] > 0 for r in d["rows"]) and d["threads"] == 2 and d["peak_mb"] > 0'
run 0 bench train --size tiny --seconds 0.01 --json
json "$work/out" 'd["rows"][0]["target_tokens_per_s"] > 0 and d["rows"][0]["peak_mb"] > 0'
fails 2 "attention, lengths, linformer, vit, translate, train" bench
fails 2 "attention, lengths, linformer, vit, translate, train" bench nosuch
fails 1 "nosuch" bench translate --size nosuch --json
fails 2 "seconds" bench train --seconds -1
fails 1 "kernel" bench train --kernels nosuch

finish
