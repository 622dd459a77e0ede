#!/usr/bin/env python3
"""Writes train.tsv, valid.tsv and test.tsv of random symbols to copy (or, with --reverse, to turn round).

    python3 tools/make_copy.py FOLDER [--reverse] [--train 20000] [--length 20] [--symbols 26] [--seed 1]
"""
import argparse
import os
import random

parser = argparse.ArgumentParser()
parser.add_argument("folder")
parser.add_argument("--reverse", action="store_true")
parser.add_argument("--train", type=int, default=20000)
parser.add_argument("--length", type=int, default=20)
parser.add_argument("--symbols", type=int, default=26, choices=range(2, 27))
parser.add_argument("--seed", type=int, default=1)
args = parser.parse_args()

rng = random.Random(args.seed)
os.makedirs(args.folder, exist_ok=True)
alphabet = [chr(ord("a") + i) for i in range(args.symbols)]
for split, count in (("train", args.train), ("valid", 200), ("test", 500)):
    with open(os.path.join(args.folder, split + ".tsv"), "w", encoding="utf-8", newline="\n") as out:
        for _ in range(count):
            words = [rng.choice(alphabet) for _ in range(args.length)]
            target = words[::-1] if args.reverse else words
            out.write(" ".join(words) + "\t" + " ".join(target) + "\n")
