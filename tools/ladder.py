#!/usr/bin/env python3
"""Trains the rungs of recipes/ladder one at a time, scores them, and prints the table.

    python3 tools/ladder.py DATA/multi30k OUT [RUNG ...] [--only A,B] [--budget MINUTES] [--attend build/attend]
                            [--threads N] [--table] [--list] [--page docs/ladder.md]

DATA holds train, val and test_2016_flickr in German and English. OUT/RUNG is each training's folder. The rungs with
a published figure come first. A rung that is done is not trained again, one that was stopped goes on: by Ctrl-C, which
saves, or when --budget's minutes are over, which ends the whole climb with what is there. --table trains nothing and
prints what is done, or the rungs named. Beside the table OUT/ladder.md holds it, OUT/ladder.tsv its numbers and
OUT/ladder.svg BLEU by length of the source. --page writes a page of all rungs, with that picture beside it under
pictures/; a rung that has not run has no figures there. Scores: greedy, BLEU of lower-cased Moses tokens (`attend
eval --protocol wu`), once on the whole test split, once by words of the source.
"""
import argparse
import datetime
import json
import os
import signal
import struct
import subprocess
import sys
import time

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
SPLIT, SOURCE, TARGET = "test_2016_flickr", "de", "en"
BUCKETS = [(1, 8), (9, 16), (17, 24), (25, 10**6)]
LABELS = ["1-8", "9-16", "17-24", "25+"]

# name, recipe, changes. The first four are published in this protocol; the others change one thing of a small model.
PUBLISHED = {"gru-bahdanau": 28.30, "gru": 20.61, "lstm": 13.76, "transformer": 36.52}
LUONG = ["model.attention=luong"]
NONE = ["model.attention=none", "model.tied=none"]  # C's uses differ in the width of output rows: none is tied
RUNGS = [(name, name, []) for name in PUBLISHED] + [
    ("bahdanau-additive", "small", []),
    ("luong-general", "small", LUONG + ["model.score=general"]),
    ("transformer-small", "small-transformer", []),
    ("transformer-small-no-positions", "small-transformer", ["model.positions=none"]),
]
for score in ("dot", "scaled-dot", "general", "concat", "cosine", "cosine-learned", "location"):
    RUNGS.append((f"bahdanau-{score}", "small", [f"model.score={score}"]))
for score in ("dot", "scaled-dot", "additive", "concat", "cosine", "cosine-learned", "location"):
    RUNGS.append((f"luong-{score}", "small", LUONG + [f"model.score={score}"]))
for making in ("last", "map", "pool"):
    for use in ("initial", "every", "readout"):
        RUNGS.append((f"c-{making}-{use}", "small", NONE + [f"model.context={making}", f"model.use={use}"]))
RUNGS += [
    ("luong-general-unfed", "small", LUONG + ["model.score=general", "model.input_feeding=false"]),
    ("luong-local-m", "small", LUONG + ["model.score=general", "model.align=local-m", "model.window=5"]),
    ("luong-local-p", "small", LUONG + ["model.score=general", "model.align=local-p", "model.window=5"]),
    ("bahdanau-inputs", "small", ["model.keys=inputs"]),
    ("bahdanau-sparsemax", "small", ["model.normalise=sparsemax"]),
    ("bahdanau-sampled", "small", ["model.sampling=0.25", "model.sampling_steps=900"]),
]
# What the page's picture shows: all would be a thicket.
DRAWN = {*PUBLISHED, "transformer-small", "transformer-small-no-positions", "bahdanau-general", "luong-dot", "c-last-readout"}
HEAD = """# The ladder

Multi30k German to English, test_2016_flickr, lower-cased Moses words, greedy, one seed; every rung by one program from
`recipes/ladder/`. The first four have a published figure (bentrevett/pytorch-seq2seq: words that occur twice, 10
epochs, hidden 512; ours keep the 8,000 commonest words; the recurrent ones are smaller, and the GRUs see 6 epochs). The others
are small ones (hidden 256, 4 epochs) that differ in one option each. "minutes" is training and validation on one machine that
did other work too, so it ranks rungs only roughly. Written by `tools/ladder.py --page`; a rung without figures has not run.
"""


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", nargs="?")
    p.add_argument("out", nargs="?")
    p.add_argument("rungs", nargs="*")
    p.add_argument("--attend", default=os.path.join(HERE, "build", "attend"))
    p.add_argument("--only", default="", help="rungs by name, a comma between them")
    p.add_argument("--budget", type=float, default=0, help="minutes after which the training saves and the climb ends")
    p.add_argument("--threads", default="0")
    p.add_argument("--page", help="write this Markdown page of all rungs, and pictures/ladder.svg beside it")
    p.add_argument("--set", action="append", default=[], help="one more change for every rung, to try things out")
    p.add_argument("--table", action="store_true", help="train nothing")
    p.add_argument("--list", action="store_true", help="name the rungs")
    a = p.parse_args()
    if not a.list and not (a.data and a.out):
        p.error("name the folder of the data and one for the trainings")
    a.rungs += [name for name in a.only.split(",") if name]
    a.end = time.monotonic() + 60 * a.budget if a.budget > 0 else None
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
    said = run_until(command, a.end)
    return json.loads(said) if said is not None else None


def run_until(command, end):
    """Its standard output; None when the time was over first, and the training has saved."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as training:
        try:
            said, _ = training.communicate(timeout=None if end is None else max(1, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            training.send_signal(signal.SIGINT)
            training.communicate()
            return None
        except KeyboardInterrupt:
            training.communicate()
            sys.exit("stopped; the same command goes on")
    if training.returncode != 0:
        sys.exit(f"{command[0]} train: exit code {training.returncode}; the same command goes on")
    return said


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
        trained = train(a, name, recipe, changes) if a.end is None or time.monotonic() < a.end else None
        if trained is None:
            print(f"{a.budget:g} minutes are over; the same command goes on with {name}", file=sys.stderr)
            return
        result = {"steps": trained["steps"], "epochs": trained["epochs"], "seconds": trained["seconds"],
                  "parameters": parameters(folder), **evaluate(a, folder)}
        with open(os.path.join(folder, "result.json"), "w", encoding="utf-8") as f:
            json.dump(result, f, indent=1)
        print(f"{name}: BLEU {result['bleu']:.2f}", file=sys.stderr, flush=True)


def number(x):
    return "-" if x is None else f"{x:.2f}"


def results(a):
    """Name and result of each rung, None where it is not done."""
    rows = []
    for name, _, _ in RUNGS:
        path = os.path.join(a.out, name, "result.json")
        r = None
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                r = json.load(f)
        rows.append((name, r))
    return rows


def columns(counts):
    return ["rung", "BLEU", "published", "perplexity", "parameters", "minutes"] + [
        f"{label} ({count})" for label, count in zip(LABELS, counts)]


def cells(name, r):
    published = number(PUBLISHED[name]) if name in PUBLISHED else ""
    if r is None:
        return [name, "", published] + [""] * 7
    return [name, number(r["bleu"]), published, number(r["perplexity"]), f"{r['parameters'] / 1e6:.2f} M",
            f"{r['seconds'] / 60:.1f}"] + [number(part["bleu"]) for part in r["by_length"]]


def markdown(head, body):
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return lines + ["| " + " | ".join(line) + " |" for line in body]


def table(a):
    rows = [(name, r) for name, r in results(a) if r and (not a.rungs or name in a.rungs)]
    if not rows:
        print(f"{a.out}: no rung is done yet", file=sys.stderr)
        return
    head = columns(part["lines"] for part in rows[0][1]["by_length"])
    body = [cells(name, r) for name, r in rows]
    print("\n".join(markdown(head, body)))
    write_lines(os.path.join(a.out, "ladder.md"), markdown(head, body))
    write_lines(os.path.join(a.out, "ladder.tsv"), ["\t".join(line) for line in [head] + body])
    write_lines(os.path.join(a.out, "ladder.svg"), draw(rows))


def lengths_of_test(data):
    words = [len(line.split()) for line in lines_of(os.path.join(data, f"{SPLIT}.{SOURCE}"))]
    return [sum(low <= n <= high for n in words) for low, high in BUCKETS]


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "an unknown CPU")
    return f"{model}, {datetime.date.today().isoformat()}"


def page(a):
    rows = results(a)
    done = [(name, r) for name, r in rows if r]
    lines = HEAD.splitlines()
    if done:
        folder = os.path.join(os.path.dirname(a.page), "pictures")
        os.makedirs(folder, exist_ok=True)
        write_lines(os.path.join(folder, "ladder.svg"), draw([row for row in done if row[0] in DRAWN] or done))
        lines += ["", f"{len(done)} of {len(rows)} rungs have run; {machine()}. The picture shows some of them.", "",
                  "![BLEU by words of the source](pictures/ladder.svg)"]
    else:
        lines += ["", "No rung has run yet."]
    lines += [""] + markdown(columns(lengths_of_test(a.data)), [cells(name, r) for name, r in rows])
    write_lines(a.page, lines)


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
    if a.page:
        page(a)


if __name__ == "__main__":
    main()
