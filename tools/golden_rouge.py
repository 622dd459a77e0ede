#!/usr/bin/env python3
"""Golden values of ROUGE and of English stems for tests/eval/test_rouge.c, from rouge-score and NLTK.

    pip install rouge-score==0.1.2
    tools/golden_rouge.py --out tests/data/rouge.json
    tools/golden_rouge.py --text train.en --lines 3000 --out big.json
    build/tests/eval_test_rouge big.json         # the same test on other text

The sentences are this file's own; with --text a file of lines is used, and its words are stemmed. Hypotheses
are the references with words dropped, doubled, swapped and replaced by a fixed seed.
"""
import argparse
import json
import random
import re
from importlib import metadata

import numpy
from nltk.stem import porter
from rouge_score import rouge_scorer

KINDS = ["rouge1", "rouge2", "rougeL"]

PARTS = (
    ["The committee", "A small group of 14 engineers", "The city's oldest library", "Nobody", "Researchers at M.I.T.",
     "The flying boats", "Two-thirds of the voters", "Die Österreicher", "The news agency"],
    ["announced", "was dying to relate", "had carefully organised", "is hopefully generalising", "controlled",
     "proceeded with", "paid $1,299.50 for", "doesn't believe in", "happily enjoyed"],
    ["the conditional operations", "a rational, adjustable plan", "the archaeological theologies",
     "its electrical sensibilities", "skies and outings", "the agreed troubles", "ponies, cats and flies",
     "an effective communism", "naïve café society"],
    ["yesterday.", "on 9/11", "(as usual)!", "- and then some more -", "", "for 3.5 years"],
)

EDGES = [
    ("", "Nothing was said."), ("Something.", ""), ("", ""), ("...", "!!!"), ("a b c", "a b c"), ("a", "b"),
    ("one word", "word one"), ("the the the the", "the cat the dog"), ("汤姆追杰瑞", "汤姆追杰瑞"),
    ("Tom 追 Jerry", "Tom chases Jerry"), ("İstanbul KELVIN \u212a", "istanbul kelvin k"), ("x_y x-y", "x y x y"),
    ("running runner runs ran", "run runs running"), ("2019's 3rd", "2019 s 3 rd"), ("e\u0301t\u00e9", "e t"),
]

WORDS = """caresses ponies ties caress cats flies dies feed agreed plastered bled motoring sing conflated troubled
sized hopping tanned falling hissing fizzed failing filing happy sky enjoy enjoyment spy spied died tried
relational conditional rational valenci hesitanci digitizer conformabli radicalli differentli vileli analogousli
vietnamization predication operator feudalism decisiveness hopefulness callousness formaliti sensitiviti
sensibiliti triplicate formative formalize electriciti electrical hopeful goodness revival allowance inference
airliner gyroscopic adjustable defensible irritant replacement adjustment dependent adoption homologou communism
activate angulariti homologous effective bowdlerize probate rate cease controll roll geology theology archaeology
philologi logi apologies nationally locally generally carefully wonderfully yyyy yyyyy syzygy toyed cry crying
dying lying tying skies innings outings cannings howe proceed exceed succeed news abc123 a1s 2nds ied died aied
used owed eyed aged using aging inned ability abilities possibly terribly nobly eed teed creed freed ally rally
realli alli ion lion onion session station ations sion tion passion s ss sss ies yies""".split()


def disturb(rng, line, pool):
    out = []
    for word in line.split(" "):
        x = rng.random()
        if x < 0.15:
            continue
        if x < 0.3:
            out.append(rng.choice(pool))
        elif x < 0.4:
            out += [word, word]
        elif x < 0.5 and out:
            out.insert(len(out) - 1, word)
        else:
            out.append(word)
    return " ".join(out)


def build(lines):
    rng = random.Random(20)
    if lines is None:
        lines = [" ".join(rng.choice(p) for p in PARTS).strip() for _ in range(60)]
        pairs = EDGES
    else:
        pairs = []
    pool = [w for line in lines for w in line.split(" ")]
    hyps = [disturb(rng, line, pool) for line in lines] + [h for h, _ in pairs]
    refs = lines + [r for _, r in pairs]
    return {"hyps": hyps, "refs": [refs, [disturb(rng, line, pool) for line in refs]]}


def cases(data):
    for stem in (False, True):
        scorer = rouge_scorer.RougeScorer(KINDS, use_stemmer=stem)
        for count in (1, 2):
            scores = [scorer.score_multi(list(refs), hyp)
                      for hyp, refs in zip(data["hyps"], zip(*data["refs"][:count]))]
            case = {"stem": stem, "nrefs": count, "sentences": [], "lines": []}
            for kind in KINDS:
                p, r, f = (100 * numpy.mean([getattr(s[kind], what) for s in scores])
                           for what in ("precision", "recall", "fmeasure"))
                case["lines"].append("ROUGE-%s|nrefs:%d|tok:rouge|stem:%s|version:attend-0.1 = %.2f (P = %.2f R = %.2f)"
                                     % (kind[5:], count, "yes" if stem else "no", f, p, r))
            for s in scores:
                case["sentences"].append([100 * s[kind].fmeasure for kind in KINDS])
            yield case


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--text")
    parser.add_argument("--lines", type=int, default=3000)
    args = parser.parse_args()
    lines, words = None, WORDS
    if args.text:
        with open(args.text, encoding="utf-8") as file:
            lines = [line.rstrip("\n") for line in file][: args.lines]
        words = sorted({w for line in lines for w in re.findall(r"[a-z0-9]+", line.lower()) if len(w) > 2})
    data = build(lines)
    stemmer = porter.PorterStemmer()
    golden = {"peer": "rouge-score %s, nltk %s" % (metadata.version("rouge-score"), metadata.version("nltk")),
              "data": data, "cases": list(cases(data)), "stems": [[w, stemmer.stem(w)] for w in words]}
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump(golden, file, ensure_ascii=False, indent=0)
        file.write("\n")


main()
