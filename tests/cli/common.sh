# Sourced by the shell tests: assertions, a temporary folder, and a small model that translates.
# usage: attend=$1; . "$(dirname "$0")/common.sh"
# Each test ends with `finish`; anything that went wrong before is told by file and line.
set -u
LC_ALL=C.UTF-8
export LC_ALL
unset ATTEND_KERNELS COLUMNS NO_COLOR
attend=${1:?usage: $0 PROGRAM}
if [ ! -x "$attend" ]; then
    echo "$attend: no such program; build it first"
    exit 1
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/attend-cli.XXXXXX") || exit 1
bad=0
checks=0

clean_up() {
    chmod -R u+rwx "$work" 2>/dev/null
    rm -rf "$work"
}
trap clean_up EXIT

complain() {
    local depth=0
    [ "${#BASH_LINENO[@]}" -gt 2 ] && depth=1
    bad=$((bad + 1))
    printf '%s:%s: %s\n' "$(basename "$0")" "${BASH_LINENO[$depth]}" "$1"
    [ -s "$work/out" ] && head -c 600 "$work/out" | sed 's/^/    out: /'
    [ -s "$work/err" ] && head -c 600 "$work/err" | sed 's/^/    err: /'
    if [ "$bad" -ge 20 ]; then
        echo "and so on"
        exit 1
    fi
}

finish() {
    printf '%s: %d checks, %d failed\n' "$(basename "$0")" "$checks" "$bad"
    [ "$bad" = 0 ] && [ "$checks" -gt 0 ]
    exit $?
}

# run CODE ARGUMENT…: the program with these arguments; output in $work/out and $work/err. Standard input is the
# caller's.
run() {
    local want=$1 got
    shift
    checks=$((checks + 1))
    "$attend" "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ "$got" = "$want" ] || complain "attend $*: exit code $got instead of $want"
}

# fails CODE WORDS ARGUMENT…: exit code 1 or 2, nothing on standard output, one line (with the usage behind it for 2)
# on standard error, and WORDS in it.
fails() {
    local want=$1 words=$2 got
    shift 2
    checks=$((checks + 1))
    "$attend" "$@" >"$work/out" 2>"$work/err"
    got=$?
    [ "$got" = "$want" ] || complain "attend $*: exit code $got instead of $want"
    [ -s "$work/out" ] && complain "attend $*: wrote to standard output"
    if [ "$want" = 1 ] && [ "$(wc -l <"$work/err")" != 1 ]; then
        complain "attend $*: want one line on standard error"
    fi
    head -n 1 "$work/err" | grep -qF -e "$words" || complain "attend $*: no '$words' on standard error"
}

# has FILE TEXT
has() {
    checks=$((checks + 1))
    grep -qF -e "$2" "$1" || complain "no '$2' in $(basename "$1")"
}

# lines FILE COUNT
lines() {
    checks=$((checks + 1))
    [ "$(wc -l <"$1")" = "$2" ] || complain "$(wc -l <"$1") lines in $(basename "$1") instead of $2"
}

# holds CONDITION…: a command that must succeed.
holds() {
    checks=$((checks + 1))
    "$@" || complain "not so: $*"
}

# json FILE EXPRESSION: the file is one JSON value (python3's idea of it, when there is a python3), here `d`, for which
# the expression holds.
json() {
    checks=$((checks + 1))
    command -v python3 >/dev/null 2>&1 || return 0
    python3 -c 'import json, math, sys
d = json.load(open(sys.argv[1], encoding="utf-8"))
sys.exit(not eval(sys.argv[2]))' "$1" "$2" 2>/dev/null || complain "$(basename "$1"): not so: $2"
}

# Sentences of 1 to 6 words and their word-for-word translations: SPLIT.en and SPLIT.xx in FOLDER.
# make_pairs FOLDER SPLIT COUNT SEED
make_pairs() {
    mkdir -p "$1"
    awk -v n="$3" -v seed="$4" -v from="$1/$2.en" -v to="$1/$2.xx" 'BEGIN {
        split("tom jerry cat mouse dog sees chases likes the a big small red old house", en, " ")
        split("tomo jero kato muso hundo vidas pelas amas la unu granda eta ruga maljuna domo", xx, " ")
        for (i = 0; i < n; i++) {
            words = 1; source = ""; target = ""
            seed = (seed * 1103515245 + 12345) % 2147483648
            words = 1 + int(seed / 65536) % 6
            for (j = 0; j < words; j++) {
                seed = (seed * 1103515245 + 12345) % 2147483648
                k = 1 + int(seed / 65536) % 15
                source = source (j ? " " : "") en[k]
                target = target (j ? " " : "") xx[k]
            }
            print source " ." > from
            print target " ." > to
        }
    }'
}

recipe() {
    cat <<'END'
{
  "model": {"family": "transformer", "encoder_layers": 1, "decoder_layers": 2, "d_model": 32, "ffn": 64, "heads": 2,
            "max_length": 40, "dropout": 0.0},
  "tokenizer": {"type": "bpe", "vocab_size": 340},
  "data": {"source": "en", "target": "xx", "train": "train", "valid": "valid", "test": "test", "max_length": 40,
           "batch_tokens": 512},
  "train": {"seed": 1, "lr": 0.005, "schedule": "cosine", "warmup": 50, "max_steps": 600, "valid_every": 300,
            "report_every": 100, "clip": 1.0},
  "decode": {"beam": 4}
}
END
}

# Where the small model lies: trained once for each build of the program, by the test that comes first. Others wait.
# Sets $model and $data.
need_model() {
    local store="${AT_BUILD_DIR:-$work}/Testing/small-model" tries=0
    mkdir -p "$(dirname "$store")"
    until mkdir "$store.lock" 2>/dev/null; do
        tries=$((tries + 1))
        if [ -f "$store.lock/owner" ] && ! kill -0 "$(cat "$store.lock/owner")" 2>/dev/null; then
            rm -rf "$store.lock" # its owner was killed
            continue
        fi
        if [ "$tries" -gt 300 ]; then
            echo "$store.lock is somebody's for five minutes; remove it"
            exit 1
        fi
        sleep 1
    done
    echo $$ >"$store.lock/owner"
    if [ ! -f "$store/ready" ] || [ "$attend" -nt "$store/ready" ]; then
        rm -rf "$store"
        mkdir -p "$store"
        make_pairs "$store/data" train 2000 7
        make_pairs "$store/data" valid 40 8
        make_pairs "$store/data" test 60 9
        recipe >"$store/recipe.json"
        if ! "$attend" train --recipe "$store/recipe.json" --data "$store/data" --out "$store/model" --quiet \
            >"$work/out" 2>"$work/err"; then
            cat "$work/err"
            rm -rf "$store" "$store.lock"
            echo "the small model cannot be trained"
            exit 1
        fi
        touch "$store/ready"
    fi
    rm -rf "$store.lock"
    model=$store/model
    data=$store/data
}
