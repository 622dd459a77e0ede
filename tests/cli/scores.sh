#!/bin/bash
# A Transformer with another score and normaliser, through the same commands: train, translate, show.
attend=$1
. "$(dirname "$0")/common.sh"

make_pairs "$work/data" train 300 7
make_pairs "$work/data" valid 20 8
recipe | sed 's/"max_steps": [0-9]*/"max_steps": 40/; s/"valid_every": [0-9]*/"valid_every": 20/; s/"warmup": 50/"warmup": 5/' \
    >"$work/short.json"
for choice in additive/softmax concat/sparsemax cosine-learned/softmax location/softmax; do
    out=$work/${choice%/*}
    run 0 train --recipe "$work/short.json" --data "$work/data" --out "$out" --quiet \
        --set "model.score=${choice%/*}" --set "model.normalise=${choice#*/}"
    json "$out/config.json" 'd["model_type"] == "attend" and d["attend"]["model"]["score"] == "'"${choice%/*}"'"'
    run 0 translate --model "$out" "tom sees the cat ."
    lines "$work/out" 1
    for kind in cross encoder decoder; do
        run 0 show --model "$out" --kind "$kind" --target "tomo vidas la kato ." --json "tom sees the cat ."
        json "$work/out" 'all(abs(sum(row) - 1) < 1e-4 for row in d["weights"]) and len(d["weights"]) > 3'
    done
done
fails 2 "scaled-dot|dot|general" train --recipe "$work/short.json" --data "$work/data" --out "$work/bad" \
    --set model.score=bilinear
holds [ ! -e "$work/bad" ]

finish
