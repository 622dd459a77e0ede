#!/usr/bin/env python3
"""The baseline of recipes/news-zh.json: naive-Bayes weights with logistic regression on character n-grams.

    tools/baseline_ngrams.py data/thucnews-titles/train.tsv data/thucnews-titles/dev.tsv

Lines are label, tab, text. Each class has a weight for each 1- to 3-gram: its log-count ratio (Wang and Manning
2012, "Baselines and bigrams") times a learned factor. Needs numpy. Prints the accuracy on the second file after
each pass.
"""
import argparse
import unicodedata

import numpy


def read(path):
    with open(path, encoding="utf-8") as file:
        pairs = [line.rstrip("\n").split("\t", 1) for line in file]
    return [p[0] for p in pairs], [unicodedata.normalize("NFKC", p[1]).lower() for p in pairs]


def grams(text, most):
    text = "^" + text + "$"
    return {text[i : i + n] for n in range(1, most + 1) for i in range(len(text) - n + 1)}


def to_rows(texts, most, known=None, least=2):
    sets = [grams(t, most) for t in texts]
    if known is None:
        counts = {}
        for s in sets:
            for g in s:
                counts[g] = counts.get(g, 0) + 1
        known = {g: i for i, g in enumerate(g for g, c in counts.items() if c >= least)}
    rows = [numpy.array(sorted(known[g] for g in s if g in known) or [0], dtype=numpy.int64) for s in sets]
    return rows, known


def scores(rows, weight):
    flat = numpy.concatenate(rows)
    starts = numpy.cumsum([0] + [len(r) for r in rows[:-1]])
    return numpy.add.reduceat(weight[flat], starts, axis=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train")
    parser.add_argument("dev")
    parser.add_argument("--grams", type=int, default=3)
    parser.add_argument("--passes", type=int, default=6)
    parser.add_argument("--rate", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    names, texts = read(args.train)
    dev_names, dev_texts = read(args.dev)
    classes = sorted(set(names))
    truth = numpy.array([classes.index(n) for n in names])
    dev_truth = numpy.array([classes.index(n) for n in dev_names])
    rows, known = to_rows(texts, args.grams)
    dev_rows, _ = to_rows(dev_texts, args.grams, known)

    count = numpy.ones((len(known), len(classes)))
    for row, y in zip(rows, truth):
        count[row, y] += 1
    inside = count / count.sum(axis=0)
    outside = (count.sum(axis=1, keepdims=True) - count) / (count.sum() - count.sum(axis=0))
    ratio = numpy.log(inside / outside)
    factor = numpy.full_like(ratio, 0.2)

    rng = numpy.random.default_rng(args.seed)
    print("%d n-grams, %d classes" % (len(known), len(classes)))
    for number in range(args.passes):
        rate = args.rate * (1 - number / args.passes)
        order = rng.permutation(len(rows))
        for first in range(0, len(order), 64):
            some = order[first : first + 64]
            part = [rows[i] for i in some]
            flat = numpy.concatenate(part)
            owner = numpy.repeat(numpy.arange(len(part)), [len(r) for r in part])
            starts = numpy.cumsum([0] + [len(r) for r in part[:-1]])
            z = numpy.add.reduceat(ratio[flat] * factor[flat], starts, axis=0)
            z -= z.max(axis=1, keepdims=True)
            p = numpy.exp(z)
            p /= p.sum(axis=1, keepdims=True)
            p[numpy.arange(len(some)), truth[some]] -= 1
            numpy.add.at(factor, flat, -rate / 8 * p[owner] * ratio[flat])
        right = (scores(dev_rows, ratio * factor).argmax(axis=1) == dev_truth).mean()
        print("pass %d: dev accuracy %.4f" % (number + 1, right), flush=True)


main()
