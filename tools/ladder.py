#!/usr/bin/env python3
"""Trains the rungs of recipes/ladder one at a time, scores them, and prints the table.

    python3 tools/ladder.py DATA/multi30k OUT [RUNG ...] [--attend build/attend] [--threads N] [--table] [--list]

DATA holds train, val and test_2016_flickr in German and English. OUT/RUNG is each training's folder. A rung that is
done is not trained again, one that was stopped goes on (Ctrl-C saves). --table trains nothing and prints what is
there, or the rungs named. Beside
the table OUT/ladder.tsv holds its numbers and OUT/ladder.svg BLEU by length of the source. Scores: greedy, BLEU of
lower-cased Moses tokens (`attend eval --protocol wu`), once on the whole test split, once by words of the source.
"""
import argparse
import json
import os
import struct
import subprocess
import sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SPLIT, SOURCE, TARGET = "test_2016_flickr", "de", "en"
BUCKETS = [(1, 8), (9, 16), (17, 24), (25, 10**6)]
LABELS = ["1-8", "9-16", "17-24", "25+"]

# name, recipe, changes. The first four are published in this protocol; the others change one thing of `small`.
NONE = ["model.attention=none"]
LUONG = ["model.attention=luong"]
RUNGS = [
    ("lstm", "lstm", []),
    ("gru", "gru", []),
    ("gru-bahdanau", "gru-bahdanau", []),
    ("transformer", "transformer", []),
    ("transformer-no-positions", "transformer-no-positions", []),
    ("bahdanau-additive", "small", []),
    ("bahdanau-inputs", "small", ["model.keys=inputs"]),
    ("bahdanau-sparsemax", "small", ["model.normalise=sparsemax"]),
    ("bahdanau-sampled", "small", ["model.sampling=0.25", "model.sampling_steps=1500"]),
]
for score in ("dot", "scaled-dot", "general", "concat", "cosine", "cosine-learned", "location"):
    RUNGS.append((f"bahdanau-{score}", "small", [f"model.score={score}"]))
for score in ("dot", "scaled-dot", "general", "additive", "concat", "cosine", "cosine-learned", "location"):
    RUNGS.append((f"luong-{score}", "small", LUONG + [f"model.score={score}"]))
RUNGS += [
    ("luong-general-unfed", "small", LUONG + ["model.score=general", "model.input_feeding=false"]),
    ("luong-local-m", "small", LUONG + ["model.score=general", "model.align=local-m", "model.window=5"]),
    ("luong-local-p", "small", LUONG + ["model.score=general", "model.align=local-p", "model.window=5"]),
]
for making in ("last", "map", "pool"):
    for use in ("initial", "every", "readout"):
        RUNGS.append((f"c-{making}-{use}", "small", NONE + [f"model.context={making}", f"model.use={use}"]))


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", nargs="?")
    p.add_argument("out", nargs="?")
    p.add_argument("rungs", nargs="*")
    p.add_argument("--attend", default=os.path.join(HERE, "build", "attend"))
    p.add_argument("--threads", default="0")
    p.add_argument("--set", action="append", default=[], help="one more change for every rung, to try things out")
    p.add_argument("--table", action="store_true", help="train nothing")
    p.add_argument("--list", action="store_true", help="name the rungs")
    a = p.parse_args()
    if not a.list and not (a.data and a.out):
        p.error("name the folder of the data and one for the trainings")
    unknown = set(a.rungs) - {name for name, _, _ in RUNGS}
    if unknown:
        p.error(f"no rung {', '.join(sorted(unknown))}; --list names all")
    return a


def is_done(folder):
    return os.path.exists(os.path.join(folder, "result.json"))


def train(a, name, recipe, changes):
    folder = os.path.join(a.out, name)
    command = [a.attend, "train", "--out", folder, "--threads", a.threads, "--json"]
    if os.path.exists(os.path.join(folder, "recipe.json")):
        command += ["--resume"]
    else:
        command += ["--recipe", os.path.join(HERE, "recipes", "ladder", recipe + ".json"), "--data", a.data]
        for change in changes + a.set:
            command += ["--set", change]
    print(f"== {name}", file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{name}: stopped; the same command goes on")
    return json.loads(done.stdout)


def parameters(folder):
    with open(os.path.join(folder, "model.safetensors"), "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    total = 0
    for key, tensor in header.items():
        if key != "__metadata__":
            count = 1
            for d in tensor["shape"]:
                count *= d
            total += count
    return total


def lines_of(path):
    with open(path, encoding="utf-8") as f:
        return f.read().splitlines()


def write_lines(path, lines):
    with open(path, "w", encoding="utf-8", newline="\n") as f:
        f.writelines(line + "\n" for line in lines)


def scores_of(a, arguments):
    said = subprocess.run([a.attend, "eval", *arguments, "--protocol", "wu", "--json", "--quiet", "--threads", a.threads],
                          stdout=subprocess.PIPE, text=True, check=True)
    return {s["name"]: s["score"] for s in json.loads(said.stdout)["scores"]}


def evaluate(a, folder):
    hyp = os.path.join(folder, "test.hyp")
    whole = scores_of(a, ["--model", folder, "--data", a.data, "--split", SPLIT, "--beam", "1", "--metric",
                          "bleu,perplexity", "--out", hyp])
    source = lines_of(os.path.join(a.data, f"{SPLIT}.{SOURCE}"))
    target, said = lines_of(os.path.join(a.data, f"{SPLIT}.{TARGET}")), lines_of(hyp)
    by_length = []
    for low, high in BUCKETS:
        chosen = [i for i, line in enumerate(source) if low <= len(line.split()) <= high]
        part_hyp, part_ref = os.path.join(folder, "part.hyp"), os.path.join(folder, "part.ref")
        write_lines(part_hyp, [said[i] for i in chosen])
        write_lines(part_ref, [target[i] for i in chosen])
        scores = scores_of(a, ["--hyp", part_hyp, "--ref", part_ref, "--target", TARGET, "--metric", "bleu"]) if chosen else {}
        by_length.append({"lines": len(chosen), "bleu": scores.get("BLEU")})
        os.remove(part_hyp)
        os.remove(part_ref)
    return {"bleu": whole["BLEU"], "perplexity": whole["perplexity"], "by_length": by_length}


def climb(a):
    os.makedirs(a.out, exist_ok=True)
    for name, recipe, changes in RUNGS:
        folder = os.path.join(a.out, name)
        if (a.rungs and name not in a.rungs) or is_done(folder):
            continue
        trained = train(a, name, recipe, changes)
        result = {"steps": trained["steps"], "epochs": trained["epochs"], "seconds": trained["seconds"],
                  "parameters": parameters(folder), **evaluate(a, folder)}
        with open(os.path.join(folder, "result.json"), "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
        print(f"{name}: BLEU {result['bleu']:.2f}", file=sys.stderr, flush=True)


def number(x):
    return "-" if x is None else f"{x:.2f}"


def table(a):
    rows = []
    for name, _, _ in RUNGS:
        folder = os.path.join(a.out, name)
        if not is_done(folder) or (a.rungs and name not in a.rungs):
            continue
        with open(os.path.join(folder, "result.json"), encoding="utf-8") as f:
            r = json.load(f)
        rows.append((name, r))
    if not rows:
        sys.exit(f"{a.out}: no rung is done yet")
    counts = [part["lines"] for part in rows[0][1]["by_length"]]
    head = ["rung", "BLEU", "perplexity", "parameters", "minutes"] + [
        f"{label} ({count})" for label, count in zip(LABELS, counts)]
    body = [[name, number(r["bleu"]), number(r["perplexity"]), f"{r['parameters'] / 1e6:.2f} M",
             f"{r['seconds'] / 60:.1f}"] + [number(part["bleu"]) for part in r["by_length"]] for name, r in rows]
    print("| " + " | ".join(head) + " |")
    print("|---" + "|---:" * (len(head) - 1) + "|")
    for line in body:
        print("| " + " | ".join(line) + " |")
    write_lines(os.path.join(a.out, "ladder.tsv"), ["\t".join(line) for line in [head] + body])
    write_lines(os.path.join(a.out, "ladder.svg"), draw(rows))


def draw(rows):
    """Lines of BLEU over the four lengths: light and dark by the reader's own setting."""
    width, height, left, top, plot_w, plot_h = 820, 40 + max(300, 18 * len(rows) + 20), 50, 20, 420, 280
    best = max(part["bleu"] or 0 for _, r in rows for part in r["by_length"])
    most = 10 * (int(best) // 10 + 1)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
           "<style>text{fill:#222}.a{stroke:#888}.g{stroke:#ddd}svg{background:#fff}"
           "@media(prefers-color-scheme:dark){text{fill:#ddd}.g{stroke:#444}svg{background:#161616}}</style>",
           "<title>BLEU by words of the source</title>"]
    x = [left + plot_w * (i + 0.5) / 4 for i in range(4)]
    for value in range(0, most + 1, 10):
        y = top + plot_h * (1 - value / most)
        out.append(f'<line class="g" x1="{left}" x2="{left + plot_w}" y1="{y:.1f}" y2="{y:.1f}"/>'
                   f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value}</text>')
    for i, label in enumerate(LABELS):
        out.append(f'<text x="{x[i]:.1f}" y="{top + plot_h + 18}" text-anchor="middle">{label}</text>')
    out.append(f'<text x="{left + plot_w / 2}" y="{top + plot_h + 36}" text-anchor="middle">words of the source; BLEU</text>')
    for i, (name, r) in enumerate(rows):
        hue, dash = 360 * i // len(rows), ["", ' stroke-dasharray="5 3"', ' stroke-dasharray="2 3"'][i % 3]
        points = [(x[k], top + plot_h * (1 - part["bleu"] / most)) for k, part in enumerate(r["by_length"])
                  if part["bleu"] is not None]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py in points)
        y = top + 10 + 18 * i
        out.append(f'<g stroke="hsl({hue},65%,50%)"{dash} fill="none" stroke-width="2"><title>{name}</title>'
                   f'<polyline points="{path}"/>'
                   f'<line x1="{left + plot_w + 20}" x2="{left + plot_w + 44}" y1="{y}" y2="{y}"/></g>'
                   f'<text x="{left + plot_w + 50}" y="{y + 4}">{name} {number(r["bleu"])}</text>')
    return out + ["</svg>"]


def main():
    a = parse()
    if a.list:
        for name, recipe, changes in RUNGS:
            print(f"{name}: recipes/ladder/{recipe}.json {' '.join(changes)}".rstrip())
        return
    if not a.table:
        climb(a)
    table(a)


if __name__ == "__main__":
    main()
