#!/usr/bin/env python3
"""The speed of this machine with attend: every kernel, every whole task, beside the plain-C reference and the peers.

    tools/bench.py [BUILD] [--quick] [--threads 2,1] [--rounds 2] [--only PARTS] [--cpus 0,1] [--write | --out FILE]

Parts: kernels, products, attention, lengths, translate, train, generate, vit. A peer is compared with where it is there:
oneDNN when the build has found it; PyTorch, CTranslate2 and llama.cpp when ATTEND_PEERS names a Python that has them
and ATTEND_PEER_SCRIPTS the folder of sdpa_torch.py, translate_ct2.py, translate_torch.py, lm_torch.py, vit_torch.py and
decode_llamacpp.py; for trainings ATTEND_DATA names the folder that holds multi30k and tinyshakespeare. Ours and the peer run in turn, A B A B, with the
same number of threads on the same cores, and ratios are of medians. The reference is ours with --kernels ref, run once.

--write (make bench) writes docs/performance.md, with docs/performance-notes.md in it, which is kept by hand, and
docs/pictures/attention-lengths.svg; without it the tables go to standard output only. With --only the page's other parts
stay as they stand. --quick takes less than three minutes where nothing else runs: oneDNN is the only peer, slices are
short. The whole takes about half an hour.
"""
import argparse
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PARTS = {"kernels": "## Kernels", "products": "## Products", "attention": "## Attention alone", "lengths": "## Time and memory by length",
         "translate": "## Translating", "train": "## Training", "generate": "## Generating", "vit": "## Pictures"}


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", nargs="?", default=os.path.join(ROOT, "build"))
    p.add_argument("--quick", action="store_true")
    p.add_argument("--threads", default="2,1")
    p.add_argument("--rounds", type=int, default=0, help="of ours and the peer in turn; 0: 2, with --quick 1")
    p.add_argument("--only", default=",".join(PARTS))
    p.add_argument("--cpus", help="cores to run on; otherwise as many as threads, the first that this process may use")
    p.add_argument("--write", action="store_true")
    p.add_argument("--out")
    p.add_argument("--peers", default=os.environ.get("ATTEND_PEERS"))
    p.add_argument("--scripts", default=os.environ.get("ATTEND_PEER_SCRIPTS"))
    p.add_argument("--data", default=os.environ.get("ATTEND_DATA"))
    o = p.parse_args()
    o.program = os.path.join(o.build, "attend")
    o.threads = [int(t) for t in o.threads.split(",")]
    o.only = o.only.split(",")
    unknown = set(o.only) - set(PARTS)
    if unknown:
        p.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    o.rounds = o.rounds or (1 if o.quick else 2)
    o.out = o.out or (os.path.join(ROOT, "docs", "performance.md") if o.write else None)
    o.seconds = 0.15 if o.quick else 1.5
    o.seen = {}
    return o


# --- Running things -----------------------------------------------------------------------------


def cores(o, threads):
    """The cores for so many threads."""
    mine = sorted(os.sched_getaffinity(0))
    chosen = [int(c) for c in o.cpus.split(",")] if o.cpus else mine
    return set(chosen[:threads]) & set(mine) or set(mine)


def run(o, threads, *words):
    """Standard output of a command on its cores; None, and a line on stderr, when it failed. o.held: the MB it held."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        with subprocess.Popen([str(w) for w in words], stdout=out, stderr=err, env=environment,
                              preexec_fn=lambda: os.sched_setaffinity(0, cores(o, threads))) as child:
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        o.held = used.ru_maxrss / 1024
        out.seek(0)
        err.seek(0)
        o.said = err.read()
        if child.returncode == 0:
            return out.read()
    last = o.said.strip().splitlines()[-1:] or ["no message"]
    print(f"{' '.join(os.path.basename(str(w)) for w in words[:3])}: {last[0]}", file=sys.stderr, flush=True)
    return None


def ours(o, threads, job, *more, seconds=None, kernels=None):
    words = [o.program, "bench", job, "--json", "--threads", threads, "--seconds", seconds or o.seconds, *more]
    text = run(o, threads, *words, *(["--kernels", kernels] if kernels else []))
    return json.loads(text) if text else {"rows": []}


def peer(o, threads, script, *words):
    """Lines of a peer's script; none where it is not there."""
    folder = os.path.join(ROOT, "bench", "peers") if script == "gru_torch.py" else o.scripts
    if not o.peers or not folder or not os.path.exists(os.path.join(folder, script)):
        return []
    if "peers" not in o.seen:
        ask = ("import importlib.metadata as m\nfor n in 'torch', 'ctranslate2', 'llama_cpp_python':\n"
               " try: print(n, m.version(n))\n except m.PackageNotFoundError: pass")
        o.seen["peers"] = (run(o, 1, o.peers, "-c", ask) or "").splitlines()
    return (run(o, threads, o.peers, os.path.join(folder, script), *words) or "").splitlines()


def in_turn(o, one, other):
    """Medians by case of both, A B A B. Each gives {case: figure}."""
    runs = ([], [])
    for _ in range(o.rounds):
        runs[0].append(one())
        runs[1].append(other())
    return [{case: statistics.median(r[case] for r in rs if case in r) for case in rs[0]} for rs in runs]


# --- Tables -------------------------------------------------------------------------------------


def figure(x):
    if x is None:
        return "–"
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"


def ratio(a, b):
    return f"{a / b:.2f}" if a is not None and b else "–"


def share(x):
    return "–" if x is None else f"{100 * x:.0f} %"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" + "|---:" * (len(head) - 1) + "|"]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


HEAD = ["case", "ours", "plain C", "ours / plain C", "peer", "ours / peer", "share of the peak"]


def rates(mine, reference, theirs, shares):
    """Rows of HEAD from figures by case; ratios above 1 are in our favour, of memory too."""
    def times(case, x, y):
        return ratio(y, x) if "peak MB" in case else ratio(x, y)

    return [[case, figure(x), figure(reference.get(case)), times(case, x, reference.get(case)), figure(theirs.get(case)),
             times(case, x, theirs.get(case)), share(shares.get(case))] for case, x in mine.items()]


# --- Parts --------------------------------------------------------------------------------------


def kernels(o):
    text = run(o, 1, os.path.join(o.build, "bench_kernels"), "--json", *(["--quick"] if o.quick else []))
    if not text:
        return []
    r = json.loads(text)
    rows = [[k["case"], f"{k['us']:.1f}", f"{k['ref_us']:.1f}", ratio(k["ref_us"], k["us"]),
             f"{k['rate']:.1f} {k['unit']}", share(k["share"])] for k in r["rows"]]
    return [PARTS["kernels"], "",
            f"Set {r['kernels']}, one thread, processor time of 32,768 numbers (64 rows of 512) where nothing else is said; in "
            f"cache, so a share of what memory gives ({r['peak_gbytes']:.1f} GB/s) may pass 100 %. Registers: "
            f"{r['peak_gflops']:.1f} GFLOP/s.", "",
            *table(["kernel", "µs", "plain C, µs", "times", "rate", "share of the peak"], rows), ""]


def products(o):
    lines = [PARTS["products"], ""]
    for t in o.threads:
        text = run(o, t, os.path.join(o.build, "bench_gemm"), t, "--json", *(["--quick"] if o.quick else []))
        if not text:
            continue
        r = json.loads(text)
        if "onednn" in r:
            o.seen["onednn"] = r["onednn"]
        rows = [[k["case"], f"{k['m']} × {k['k']} × {k['n']}", figure(k["packed"]), figure(k["plain"]),
                 figure(k["bf16"]), figure(k.get("onednn")), ratio(k["packed"], k.get("onednn")), share(k["share"])]
                for k in r["rows"]]
        lines += [f"Threads: {t}; GFLOP/s, the fastest of many runs; registers reach {r['peak_gflops']:.1f} in fp32, which "
                  "the share is of.", "",
                  *table(["product", "m × k × n", "B packed", "B as it lies", "B packed in bf16", "oneDNN",
                          "packed / oneDNN", "share of the peak"], rows), ""]
    return lines


TYPES = {"float32": "fp32", "bfloat16": "bf16"}


def attention_peer(o, t):
    found = {}
    for line in peer(o, t, "sdpa_torch.py", t):
        case = re.match(r"(\S+) +(float32|bfloat16) +fwd +\S+ ms +([\d.]+) GF/s(?: +fwd\+bwd +\S+ ms +([\d.]+) GF/s)?", line)
        if case:
            name = f"{case[1]} {TYPES[case[2]]}"
            found[name + ", forward"] = float(case[3])
            if case[4]:
                found[name + ", and backward"] = float(case[4])
    return found


def our_attention(o, t, kind, cases=None, **how):
    rows = [r for c in cases for r in ours(o, t, "attention", "--type", kind, "--size", c, **how)["rows"]] if cases else (
        ours(o, t, "attention", "--type", kind, **how)["rows"])
    found = {}
    for row in rows:
        name = f"{row['case']} {kind}"
        found[name + ", forward"] = row["forward_gflops"]
        if "both_gflops" in row:
            found[name + ", and backward"] = row["both_gflops"]
    return found


def attention(o):
    lines = [PARTS["attention"], "", "GFLOP/s of the useful work; peer: PyTorch's scaled_dot_product_attention. Shares are of the fp32 peak.", ""]
    short = ["translate-train", "char-lm", "bert-128", "decode-1x1k"]
    for t in o.threads:
        def mine(t=t):
            if o.quick:
                return our_attention(o, t, "fp32", short)
            return {**our_attention(o, t, "fp32"), **our_attention(o, t, "bf16")}
        a, b = in_turn(o, mine, lambda t=t: {} if o.quick else attention_peer(o, t))
        reference = our_attention(o, t, "fp32", short[:2] if o.quick else short, seconds=0.05, kernels="ref")
        peak = peaks(o, t)[0]
        lines += [f"Threads: {t}.", "", *table(HEAD, rates(a, reference, b, {c: x / peak for c, x in a.items()})), ""]
    return lines


def lengths(o):
    t = max(o.threads)
    svg = os.path.join(ROOT, "docs", "pictures", "attention-lengths.svg")
    if o.quick:
        rows = [r for n in (64, 256, 1024) for r in ours(o, t, "lengths", "--size", n)["rows"]]
    else:
        rows = ours(o, t, "lengths", *(["--svg", svg] if o.write else []), seconds=0.5)["rows"]
    body = [[f"{r['length']:,.0f}", figure(r["forward_ms"]), figure(r["both_ms"]), figure(r["held_mb"]),
             figure(r["weights_mb"])] for r in rows]
    picture = ["![Time and memory by length](pictures/attention-lengths.svg)", ""] if o.write and not o.quick else []
    return [PARTS["lengths"], "", f"4 heads of width 64, one sequence, fp32, threads: {t}.", "",
            *table(["rows", "forward, ms", "and backward, ms", "held between, MB", "a matrix of weights, MB"], body), "",
            *picture]


def translate_peer(o, t):
    found = {}
    for line in peer(o, t, "translate_ct2.py", t):
        case = re.match(r"(\S+) +(float32|bfloat16) +batch +(\d+) beam (\d+): +([\d.]+) tokens/s", line)
        if case:
            found[f"{case[1]} {TYPES[case[2]]}, batch {case[3]}, beam {case[4]}"] = float(case[5])
    return found


def our_translations(o, t, sizes, kind, **how):
    rows = [r for s in sizes for r in ours(o, t, "translate", "--size", s, "--type", kind, **how)["rows"]]
    return {f"{r['size']} {kind}, batch {r['batch']}, beam {r['beam']}": r["tokens_per_s"] for r in rows}


def translate(o):
    lines = [PARTS["translate"], "", "Tokens/s, random weights, 30 pieces to 30 pieces; peer: CTranslate2.", ""]
    for t in o.threads:
        def mine(t=t):
            if o.quick:
                return our_translations(o, t, ["tiny"], "fp32")
            return {**our_translations(o, t, ["tiny", "base", "gru"], "fp32"), **our_translations(o, t, ["tiny", "base"], "bf16")}
        a, b = in_turn(o, mine, lambda t=t: {} if o.quick else translate_peer(o, t))
        reference = {} if o.quick else our_translations(o, t, ["tiny"], "fp32", seconds=0.01, kernels="ref")
        lines += [f"Threads: {t}.", "", *table(HEAD[:-1], [row[:-1] for row in rates(a, reference, b, {})]), ""]
    return lines


def torch_training(o, t):
    """The peers' tokens/s, each where its data is there."""
    found = {}
    if o.data and os.path.isdir(os.path.join(o.data, "multi30k")):
        text = peer(o, t, "translate_torch.py", os.path.join(o.data, "multi30k"), "--threads", t, "--steps", 100)
        speeds = re.findall(r"loss \S+ (\d+) target tokens/s", "\n".join(text))
        if speeds:
            found["tiny"] = float(speeds[-1])
            found["tiny fp32, peak MB"] = o.held
    if o.data and os.path.exists(os.path.join(o.data, "tinyshakespeare", "input.txt")):
        text = peer(o, t, "lm_torch.py", os.path.join(o.data, "tinyshakespeare", "input.txt"), "--steps", 150, "--threads", t)
        speeds = re.findall(r"step \d+ loss \S+ (\d+) tokens/s", "\n".join(text))
        if speeds:
            found["char"] = float(speeds[-1])
    speeds = re.findall(r"gru +float32 +(\d+) target", "\n".join(peer(o, t, "gru_torch.py", "--seconds", 10, "--threads", t)))
    if speeds:
        found["gru"] = float(speeds[-1])
    return {name: x for size, x in found.items() for name in ([size] if "MB" in size else [f"{size} fp32", f"{size} bf16"])}


def our_training(o, t, shares):
    found = {}
    for size, kind in [("char", "fp32")] if o.quick else [(s, k) for s in ("tiny", "char", "gru") for k in ("fp32", "bf16")]:
        for r in ours(o, t, "train", "--size", size, "--type", kind, seconds=1 if o.quick else 8)["rows"]:
            found[f"{size} {kind}"] = r["target_tokens_per_s"]
            if (size, kind) == ("tiny", "fp32"):
                found["tiny fp32, peak MB"] = r["peak_mb"]
        if not shares.get(f"{size} {kind}"):
            shares[f"{size} {kind}"] = profiled_share(o, t, size, kind)
    return found


def profiled_share(o, t, size, kind):
    """FLOP/s of a whole step as a share of the peak, as --profile says it."""
    run(o, t, o.program, "bench", "train", "--size", size, "--type", kind, "--threads", t, "--seconds", 0.5, "--profile")
    line = next((x for x in o.said.splitlines() if x.startswith("together")), "")
    said = re.findall(r"([\d.]+) %", line)  # of the time, of the peak of operations, of that of bytes
    return float(said[1]) / 100 if len(said) > 1 else None


def train(o):
    lines = [PARTS["train"], "", "Target tokens/s, whole steps; bf16: mixed precision with masters in fp32. Peer of both: PyTorch eager in "
             "fp32, the same sizes and batches. Shares are of the fp32 peak.", ""]
    for t in o.threads:
        shares = {}
        a, b = in_turn(o, lambda t=t, s=shares: our_training(o, t, s), lambda t=t: {} if o.quick else torch_training(o, t))
        rows = ours(o, t, "train", "--size", "char", seconds=0.01, kernels="ref")["rows"]
        reference = {"char fp32": rows[0]["target_tokens_per_s"]} if rows else {}
        lines += [f"Threads: {t}.", "", *table(HEAD, rates(a, reference, b, shares)), ""]
    return lines


def llama_peer(o, t):
    """llama.cpp's best, with or without its fused attention."""
    found = {}
    for line in peer(o, t, "decode_llamacpp.py", t):
        case = re.match(r"bf16 +flash \S+ *: prompt 512 +([\d.]+) tokens/s, generate 128 after it +([\d.]+) tokens/s", line)
        for name, speed in zip(("llama bf16, prompt of 512", "llama bf16, 128 after it"), case.groups() if case else ()):
            found[name] = max(found.get(name, 0), float(speed))
    return found


def our_writing(o, t, **how):
    rows = ours(o, t, "generate", "--size", "char", **how)["rows"]
    return {f"char fp32, batch {r['batch']}": r["tokens_per_s"] for r in rows}


def our_llama(o, t):
    found = {}
    for r in ours(o, t, "generate", "--size", "llama", "--type", "bf16")["rows"]:
        found["llama bf16, prompt of 512"] = r["prompt_per_s"]
        found["llama bf16, 128 after it"] = r["tokens_per_s"]
    return found


def generate(o):
    lines = [PARTS["generate"], "", "Tokens/s, random weights: nanoGPT's character model for a CPU, greedily in batches; a Llama of 110 M "
             "numbers, peer: llama.cpp.", ""]
    for t in o.threads:
        a, b = in_turn(o, lambda t=t: {**our_writing(o, t), **({} if o.quick else our_llama(o, t))},
                       lambda t=t: {} if o.quick else llama_peer(o, t))
        reference = our_writing(o, t, seconds=0.01, kernels="ref")
        lines += [f"Threads: {t}.", "", *table(HEAD[:-1], [row[:-1] for row in rates(a, reference, b, {})]), ""]
    return lines


def vit_peer(o, t):
    found = {}
    for line in peer(o, t, "vit_torch.py", t):
        for job, speed in re.findall(r"\b(train|classify) (\d+) images/s", line):
            for kind in "fp32", "bf16":
                found[f"linformer {kind}, {job}"] = float(speed)
    return found


def our_pictures(o, t):
    found = {}
    for kind in "fp32", "bf16":
        for r in ours(o, t, "vit", "--size", "linformer", "--type", kind)["rows"]:
            found[f"{r['size']} {kind}, train"] = r["train_pictures_per_s"]
            found[f"{r['size']} {kind}, classify"] = r["classify_pictures_per_s"]
    return found


def vit(o):
    lines = [PARTS["vit"], "", "Pictures/s of 224 × 224, 12 blocks of width 128 with Linformer k 64, batches of 64; bf16: mixed training, "
             "weights in bf16. Peer of both: PyTorch eager in fp32.", ""]
    for t in o.threads:
        a, b = in_turn(o, lambda t=t: our_pictures(o, t), lambda t=t: {} if o.quick else vit_peer(o, t))
        lines += [f"Threads: {t}.", "", *table(HEAD[:-1], [row[:-1] for row in rates(a, {}, b, {})]), ""]
    return lines


# --- The page -----------------------------------------------------------------------------------


def peaks(o, t):
    """GFLOP/s and GB/s that so many threads reach."""
    if ("peaks", t) not in o.seen:
        text = run(o, t, os.path.join(o.build, "bench_gemm"), t, "--json", "--peaks")
        r = json.loads(text) if text else {"peak_gflops": float("nan"), "peak_gbytes": float("nan")}
        o.seen["peaks", t] = (r["peak_gflops"], r["peak_gbytes"])
    return o.seen["peaks", t]


def machine(o, began):
    info = json.loads(run(o, 1, o.program, "info", "--json") or "{}")
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((line.split(":")[1].strip() for line in f if line.startswith("model name")), "unknown CPU")
    versions = [f"attend {info.get('version')}", str(info.get("compiler")), *o.seen.get("peers", [])]
    versions += [f"oneDNN {o.seen['onednn']}"] if "onednn" in o.seen else []
    reach = "; ".join(f"{t} thread{'s' * (t > 1)}: {peaks(o, t)[0]:.1f} GFLOP/s fp32 from registers, {peaks(o, t)[1]:.1f} GB/s "
                      "read from memory" for t in sorted(o.threads))
    return [f"- {model}, {os.cpu_count()} cores, {info.get('cpu')}; kernels {info.get('kernels')}",
            f"- {', '.join(versions)}", f"- {reach}",
            f"- {datetime.date.today().isoformat()}; load at the beginning {began:.1f}, at the end {os.getloadavg()[0]:.1f}", ""]


def notes():
    path = os.path.join(ROOT, "docs", "performance-notes.md")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return f.read().splitlines()


def standing(page):
    """Parts of a page that is there already, by their headings."""
    found, heading = {}, None
    if page and os.path.exists(page):
        with open(page, encoding="utf-8") as f:
            for line in f.read().splitlines():
                heading = line if line.startswith("## ") else heading
                found.setdefault(heading, []).append(line)
    return found


def main():
    o = parse()
    began = os.getloadavg()[0]
    parts, before = [], standing(o.out)
    for name, heading in PARTS.items():
        if name in o.only:
            lines = globals()[name](o)
            print("\n".join(lines), flush=True)
            parts += lines
        else:
            parts += before.get(heading, [])
    head = ["# Performance", "", f"Written by `tools/bench.py{' --quick' * o.quick}`; ratios above 1 are in our favour. Ours and the "
            f"peer ran in turn, each {'once' if o.rounds == 1 else f'{o.rounds} times'}. Machines are shared: figures of one run are to "
            "be compared with each other only.", "", *machine(o, began)]
    if before.get(None) and set(o.only) < set(PARTS):  # the parts that stay were measured by the run that wrote the page
        head = [*before[None][:-1], f"- measured again: {', '.join(o.only)}; {head[-2][2:]}", ""]
    print("\n".join(head[4:]), flush=True)
    if o.out:
        with open(o.out, "w", encoding="utf-8", newline="\n") as f:
            f.write("\n".join(head + parts + (notes() if o.write else [])).rstrip("\n") + "\n")


if __name__ == "__main__":
    main()
