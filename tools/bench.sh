#!/bin/sh
# The speed of each job on this machine, with random weights. usage: tools/bench.sh [BUILD]
#
# Beside the peers when there are any: ATTEND_PEERS names a Python with torch and ctranslate2, ATTEND_PEER_SCRIPTS the
# folder of sdpa_torch.py, translate_ct2.py and translate_torch.py, ATTEND_DATA the folder that holds multi30k. Peer and
# ours then run in turn, A B A B, in one go, with the same number of threads, and tools/compare.py prints ratios of
# medians. THREADS (2) and ROUNDS (2) may be set.
set -eu
program=${1:-build}/attend
threads=${THREADS:-2}
rounds=${ROUNDS:-2}

"$program" info
echo
echo "== the products alone, one thread"
"$(dirname "$program")/bench_gemm" 1
for job in attention translate train; do
    echo
    echo "== bench $job"
    "$program" bench "$job" --threads "$threads"
done

[ -n "${ATTEND_PEERS:-}" ] && [ -n "${ATTEND_PEER_SCRIPTS:-}" ] || {
    echo
    echo "ATTEND_PEERS and ATTEND_PEER_SCRIPTS are not set: no peer to compare with"
    exit 0
}
echo
echo "== beside the peers, $rounds rounds in turn, $threads threads"
exec "$ATTEND_PEERS" "$(dirname "$0")/compare.py" "$program" --scripts "$ATTEND_PEER_SCRIPTS" --threads "$threads" \
    --rounds "$rounds" ${ATTEND_DATA:+--data "$ATTEND_DATA"}
