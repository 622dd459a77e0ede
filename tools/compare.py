#!/usr/bin/env python3
"""Runs a peer's script and the bench of ours in turn, A B A B, and prints the ratio of the medians of each case.

    compare.py build/attend --scripts FOLDER [--data FOLDER] [--threads 2] [--rounds 2] [--only attention|translate|train]

The peer runs under the Python that runs this. Its output is read line by line; a case is what both name:
sdpa_torch.py (attention), translate_ct2.py (translate), translate_torch.py (train, needs --data with multi30k).
"""
import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys

parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
parser.add_argument("program")
parser.add_argument("--scripts", required=True)
parser.add_argument("--data")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=2)
parser.add_argument("--seconds", type=float, default=2.0, help="of each case of ours")
parser.add_argument("--steps", type=int, default=300, help="of the peer's training")
parser.add_argument("--only", choices=["attention", "translate", "train"])
options = parser.parse_args()


def lines_of(*words):
    """Standard output of a command, and the most memory that it or those before it held, in MB."""
    environment = dict(os.environ, OMP_NUM_THREADS=str(options.threads))
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    return done.stdout.splitlines(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def peer(script, *words):
    return lines_of(sys.executable, os.path.join(options.scripts, script), *map(str, words))


def ours(job, seconds=None):
    text, _ = lines_of(options.program, "bench", job, "--json", "--threads", str(options.threads), "--seconds",
                       str(seconds or options.seconds))
    return json.loads("\n".join(text))


def attention_peer():
    found = {}
    for line in peer("sdpa_torch.py", options.threads)[0]:
        case = re.match(r"(\S+) +float32 +fwd +\S+ ms +([\d.]+) GF/s(?: +fwd\+bwd +\S+ ms +([\d.]+) GF/s)?", line)
        if case:
            found[case[1] + ", forward, GFLOP/s"] = float(case[2])
            if case[3]:
                found[case[1] + ", both, GFLOP/s"] = float(case[3])
    return found


def attention_ours():
    found = {}
    for row in ours("attention")["rows"]:
        found[row["case"] + ", forward, GFLOP/s"] = row["forward_gflops"]
        if "both_gflops" in row:
            found[row["case"] + ", both, GFLOP/s"] = row["both_gflops"]
    return found


def translate_peer():
    found = {}
    for line in peer("translate_ct2.py", options.threads)[0]:
        case = re.match(r"(\S+) +float32 +batch +(\d+) beam (\d+): +([\d.]+) tokens/s", line)
        if case:
            found[f"{case[1]}, batch {case[2]}, beam {case[3]}, tokens/s"] = float(case[4])
    return found


def translate_ours():
    return {f"{row['size']}, batch {row['batch']}, beam {row['beam']}, tokens/s": row["tokens_per_s"]
            for row in ours("translate")["rows"]}


def train_peer():
    text, memory = peer("translate_torch.py", os.path.join(options.data, "multi30k"), "--threads", options.threads,
                        "--steps", options.steps)
    speeds = [float(m[1]) for m in (re.search(r"loss \S+ (\d+) target tokens/s", line) for line in text) if m]
    return {"target tokens/s": statistics.median(speeds[1:] or speeds), "peak MB": memory}


def train_ours():
    row = ours("train", max(options.seconds, 20))["rows"][0]
    return {"target tokens/s": row["target_tokens_per_s"], "peak MB": row["peak_mb"]}


def compare(name, theirs, own):
    runs = {"peer": [], "ours": []}
    for _ in range(options.rounds):
        runs["peer"].append(theirs())
        runs["ours"].append(own())
    print(f"{name + ', float32':44s} {'peer':>9s} {'ours':>9s}   ours/peer")
    for case in runs["ours"][0]:
        if all(case in run for run in runs["peer"]):
            a, b = (statistics.median(run[case] for run in runs[who]) for who in ("peer", "ours"))
            print(f"  {case:42s} {a:9.0f} {b:9.0f}   {b / a:.2f}", flush=True)


jobs = [("train", train_peer, train_ours), ("attention", attention_peer, attention_ours),
        ("translate", translate_peer, translate_ours)]
for job in jobs:
    if options.only and options.only != job[0]:
        continue
    if job[0] == "train" and not options.data:
        print("train: no --data, no comparison")
        continue
    compare(*job)
