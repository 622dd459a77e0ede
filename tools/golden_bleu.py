#!/usr/bin/env python3
"""Golden values of BLEU and chrF for tests/eval/test_golden.c, from sacreBLEU.

    pip install sacrebleu==2.6.0 regex
    tools/golden_bleu.py --out tests/data/eval.json
    tools/golden_bleu.py --text de=train.de --text zh=train.zh --lines 3000 --out big.json
    build/tests/eval_test_golden big.json        # the same test on other text

The sentences are this file's own (a small grammar and odd lines by hand), the
hypotheses are the references with words dropped, doubled, swapped and replaced by
a fixed seed; so the tests need no corpus. With --text any corpus is used instead.
"""
import argparse
import json
import random

import sacrebleu
from sacrebleu.metrics import BLEU, CHRF

TOKENIZERS = ["13a", "zh", "char", "intl", "none"]

GRAMMAR = {
    "de": (
        ["Der kleine Hund", "Eine Frau", "Mein Nachbar Müller", "Die „Alte Post“", "Österreichs Kanzler",
         "Niemand außer ihr", "Das 3. Kind"],
        ["läuft", "kaufte 2,5 kg Äpfel", "zahlt 1.299,50 €", "wohnt in der Hauptstr. 12-14", "sagte: „Na und?“",
         "weiß es nicht", "schreibt an info@example.org", "traf um 7:45 Uhr ein"],
        ["über die Straße", "am 24.12.2019", "trotz Regen & Wind", "(wie immer)", "z.B. heute",
         "mit seinem/ihrem Freund", "– ohne ein Wort –", "für ca. 10-12 Tage"],
        [".", "!", "?", "...", " .", ";"], " "),
    "en": (
        ["Tom", "The dog's owner", "A man in a red T-shirt", "Nobody", "She", "The U.S. team"],
        ["chases Jerry", "doesn't know", "paid $1,000.50", "lost 3-2", "said \"no\"", "ran 42.195 km",
         "works at AT&T"],
        ["every day", "in 1999", "on 9/11", "well-known as it is", "[sic]", "by e-mail", "'til dawn"],
        [".", "!", "?", " .", "...", ""], " "),
    "zh": (
        ["汤姆", "我的朋友", "那个穿红衣服的女孩", "他们", "“小王”", "ABC公司", "2019年的冬天"],
        ["追杰瑞", "喜欢吃苹果", "花了3.5元", "不知道", "在看《红楼梦》", "说:“好吧!”", "買了IPhone 12", "跑了１０公里"],
        ["，因为下雨了", "，每天都这样", "、一直到晚上", "(真的)", "……", "，10:30左右", ""],
        ["。", "！", "？", ".", ""], ""),
}

# hypothesis, references
EDGES = [
    ("", ["Nothing was said."]),
    ("Something was said.", [""]),
    ("", [""]),
    ("   ", ["a b c"]),
    ("yes", ["yes"]),
    ("yes", ["no"]),
    ("Yes .", ["yes."]),
    ("all of this is wrong", ["nothing here can match"]),
    ("the the the the the the the", ["the cat is on the mat", "there is a cat on the mat"]),
    ("a b c d e f g h", ["a b c d e f g h"]),
    ("ＡＢＣ，１２３！（全角）", ["ABC,123!(全角)"]),
    ("你好，世界。", ["你好,世界."]),
    ("full\u3000width\u3000space here", ["full width space here"]),
    ("non\u00a0breaking\u2009thin\u202fspaces", ["non breaking thin spaces"]),
    ("zero\u200bwidth\u2060joiner \ufeffbom", ["zero width joiner bom"]),
    ("next\u0085line and\u2028separator", ["next line and separator"]),
    ("unit\x1fseparator\x1ctoo", ["unit separator too"]),
    ("tab\tseparated  double   spaces ", ["tab separated double spaces"]),
    ("&quot;Tom &amp; Jerry&quot; &lt;b&gt; &amp;lt; &apos;", ["\"Tom & Jerry\" <b> < '"]),
    ("a <skipped> word-", ["a word"]),
    ("1,000.50 -5 3-4 .5 5. ,5 5, 1.a a.1", ["1,000.50 - 5 3 - 4 . 5 5 . , 5 5 , 1 . a a . 1"]),
    ("...,,,---", [". . . , , , - - -"]),
    ("a.b,c.d..e,,f", ["a . b , c . d . . e , , f"]),
    ("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", ["! \" # $ % & ' ( ) * + , - . / : ; < = > ? @ [ \\ ] ^ _ ` { | } ~"]),
    ("10€ 5£ ½ ² ₂ Ⅷ ٣ ३ ", ["10 € 5 £ ½ ² ₂ Ⅷ ٣ ३"]),
    ("«Bonjour» – dit-il… ‘ok’ ‹x›", ["« Bonjour » – dit - il … ‘ ok ’ ‹ x ›"]),
    ("¿Qué? ¡Sí! 3º 2ª", ["¿ Qué ? ¡ Sí ! 3º 2ª"]),
    ("x²+y²=z² → ∞ ≤ ∀", ["x² + y² = z² → ∞ ≤ ∀"]),
    ("naïve café", ["nai\u0308ve cafe\u0301"]),
    ("İstanbul IŞIK ΟΔΥΣΣΕΥΣ ΑΣ. Σ ΑΣ'Α", ["i̇stanbul ışık οδυσσευς ας. σ ασ'α"]),
    ("GROẞE STRASSE ǅ Ⓐ 𝐀 Ꭰ", ["große straße ǆ ⓐ 𝐀 ꭰ"]),
    ("😀😃 👍🏽 family 👨‍👩‍👧", ["😀 😃 👍 family 👨‍👩‍👧"]),
    ("𠀀𠀁 漢字 豈 ㈠ ㍿ ☀ ✂", ["𠀀 𠀁 漢字 豈 ㈠ ㍿ ☀ ✂"]),
    ("ﾊﾝｶｸ カタカナ ひらがな 한국어", ["ハンカク カタカナ ひらがな 한국어"]),
    ("(hi) 'ok' a' 'b ''", ["( hi ) ' ok ' a ' ' b ' '"]),
    ("ab", ["abcdefgh"]),
    ("abcdefgh", ["ab"]),
    ("one two three", ["one two three four five six", "one two"]),
    ("Привет, мир! 123.45", ["привет , мир ! 123.45"]),
    ("مرحبا، بالعالم؟ ١٢٣", ["مرحبا ، بالعالم ؟ ١٢٣"]),
    ("हिन्दी। १२३।", ["हिन्दी । १२३ ।"]),
]


def sentence(rng, language):
    subjects, verbs, rests, ends, space = GRAMMAR[language]
    parts = [rng.choice(subjects), rng.choice(verbs)]
    for _ in range(rng.choice([0, 1, 1, 2])):
        parts.append(rng.choice(rests))
    return space.join(parts) + rng.choice(ends)


def disturb(rng, line, pool, rate):
    """The line as a poor system would write it; characters where there are no spaces."""
    spaced = " " in line.strip()
    units = line.split(" ") if spaced else list(line)
    out = []
    for unit in units:
        x = rng.random()
        if x < rate / 4:
            continue
        if x < rate / 2:
            out.append(rng.choice(pool))
        elif x < 0.6 * rate:
            out += [unit, unit]
        elif x < 0.7 * rate:
            out.append(unit.swapcase())
        elif x < rate and out:
            out.insert(len(out) - 1, unit)
        else:
            out.append(unit)
    return (" " if spaced else "").join(out)


def make_set(rng, lines):
    spaced = sum(" " in x.strip() for x in lines) * 2 > len(lines)
    pool = [u for x in lines for u in (x.split(" ") if spaced else x) if u]
    return {"hyps": [disturb(rng, x, pool, rng.choice([0.0, 0.2, 0.5, 0.9])) for x in lines],
            "refs": [lines, [disturb(rng, x, pool, 0.3) for x in lines]]}


def edge_set():
    second = [r[1] if len(r) > 1 else None for _, r in EDGES]
    return {"hyps": [h for h, _ in EDGES], "refs": [[r[0] for _, r in EDGES], second]}


def ours(signature):
    head, _, _ = str(signature).rpartition("version:")
    return head + "version:attend-0.1"


def bleu_cases(name, data, sentences):
    for tokenize in TOKENIZERS:
        for lowercase in (False, True):
            for nrefs in (1, 2):
                refs = data["refs"][:nrefs]
                for smooth, effective in (("exp", False), ("none", False), ("floor", False), ("add-k", False),
                                          ("exp", True)):
                    if smooth != "exp" and (nrefs == 2 or lowercase):
                        continue
                    bleu = BLEU(lowercase=lowercase, tokenize=tokenize, smooth_method=smooth,
                                effective_order=effective, force=True)
                    score = bleu.corpus_score(data["hyps"], refs)
                    case = {"set": name, "tokenize": tokenize, "lowercase": lowercase, "nrefs": nrefs,
                            "smooth": smooth, "effective": effective, "score": score.score,
                            "line": score.format(signature=ours(bleu.get_signature()))}
                    if sentences and effective:
                        lines = zip(data["hyps"], zip(*refs))
                        case["sentences"] = [
                            bleu.sentence_score(h, [x for x in r if x is not None]).score for h, r in lines]
                    yield case


def chrf_cases(name, data, sentences):
    for word_order in (0, 1, 2):
        for lowercase in (False, True):
            for nrefs in (1, 2):
                for whitespace in (False, True):
                    refs = data["refs"][:nrefs]
                    chrf = CHRF(word_order=word_order, lowercase=lowercase, whitespace=whitespace)
                    score = chrf.corpus_score(data["hyps"], refs)
                    case = {"set": name, "word_order": word_order, "lowercase": lowercase, "nrefs": nrefs,
                            "whitespace": whitespace, "score": score.score,
                            "line": score.format(signature=ours(chrf.get_signature()))}
                    if sentences and not whitespace:
                        lines = zip(data["hyps"], zip(*refs))
                        case["sentences"] = [
                            chrf.sentence_score(h, [x for x in r if x is not None]).score for h, r in lines]
                    yield case


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--text", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--lines", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    sets = {}
    for item in args.text:
        name, path = item.split("=", 1)
        with open(path, encoding="utf-8", newline="\n") as file:
            sets[name] = make_set(rng, [next(file).rstrip("\n") for _ in range(args.lines)])
    if not args.text:
        for language in GRAMMAR:
            sets[language] = make_set(rng, [sentence(rng, language) for _ in range(60)])
        sets["edge"] = edge_set()
    bleu, chrf = [], []
    for name, data in sets.items():
        bleu += bleu_cases(name, data, name == "edge")
        chrf += chrf_cases(name, data, name == "edge")
    edge = sets.get("edge", {"hyps": []})["hyps"]
    tokens = {t: [" ".join(BLEU(tokenize=t)._preprocess_segment(x).split()) for x in edge] for t in TOKENIZERS}
    lower = [[x, x.lower()] for x in edge + [r[0] for _, r in EDGES]] if edge else []
    golden = {"peer": "sacrebleu " + sacrebleu.__version__, "sets": sets, "bleu": bleu, "chrf": chrf,
              "tokens": tokens, "lower": lower}
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump(golden, file, ensure_ascii=False, indent=0)
        file.write("\n")


main()
