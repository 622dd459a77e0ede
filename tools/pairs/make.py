#!/usr/bin/env python3
"""Enlarge the Tatoeba English-Chinese pairs so that names and rare verbs come out right.

    python3 tools/pairs/make.py --data TATOEBA --out OUT [--seed 7] [--show 200]

Reads train/dev/test.en and .zh of TATOEBA and the tables beside this file; writes the same six files to
OUT. What is in train afterwards: the Tatoeba pairs with one spelling and one punctuation; the same pairs
with other names; pairs whose "he" or "she" became a name; our own phrases and expanded templates (own.tsv,
verbs.tsv with frames.tsv). No pair stays whose English or Chinese sentence is one of dev or test, or whose
English is one of everyday.tsv. Same seed, same bytes.
"""

import argparse
import collections
import os
import random
import re
import sys
import unicodedata

HERE = os.path.dirname(os.path.abspath(__file__))

GENDERED = re.compile(
    r"\b(he|him|his|himself|she|her|hers|herself|he's|she's|man|woman|men|women|boy|girl|boys|girls|father|"
    r"mother|dad|mom|husband|wife|brother|sister|son|daughter|uncle|aunt|king|queen|boyfriend|girlfriend|"
    r"actor|actress|waiter|waitress|bald|beard|mustache|shave|pregnant|dress|skirt|lipstick|makeup|handsome|"
    r"pretty|beautiful|married|marry|widow|widower|gentleman|lady|bachelor|guy|ponytail|ponytails)\b", re.I)
GENDERED_ZH = re.compile("他|她|娶|嫁|男|女|妈|爸|妻|夫|帅")
ABOUT_NAMES = re.compile(
    r"\b(names?|named|called|letters?|spell|spelled|pronounce|nickname|short for)\b", re.I)
TITLES = ("Mr.", "Mrs.", "Ms.", "Miss", "Dr.", "Uncle", "Aunt", "Saint", "St.", "King", "Queen", "Prince")
PERSON_WORDS = re.compile(r"\b(he|him|his|himself|she|her|hers|herself)\b(?!-)", re.I)

# First words that a hasty writer leaves small; names of people and places stay large.
COMMON_FIRST = set("""
he she it we you they the a an this that these those my your his her our their what where when why who how
which whose do does did don't is are was were can could will would should may please let let's there here
have has all everyone nobody come go give take tell get turn keep no it's he's she's you're we're they're
that's what's
""".split())

# Subject pronouns: English subject and object; Chinese; is, was, has, does; third person singular or not.
PRONOUNS = [
    ("I", "me", "我", "am", "was", "have", "do", False),
    ("you", "you", "你", "are", "were", "have", "do", False),
    ("he", "him", "他", "is", "was", "has", "does", True),
    ("she", "her", "她", "is", "was", "has", "does", True),
    ("we", "us", "我们", "are", "were", "have", "do", False),
    ("they", "them", "他们", "are", "were", "have", "do", False),
]


def read_rows(name, columns=0):
    """Rows of a table beside this file: tabs between columns, '#' lines are comments."""
    rows = []
    with open(os.path.join(HERE, name), encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            line = line.rstrip("\n")
            if not line.strip() or line.startswith("#"):
                continue
            row = line.split("\t")
            if columns and len(row) < columns:
                sys.exit(f"{name}:{number}: {columns} columns wanted, {len(row)} found")
            rows.append(row)
    return rows


def read_lines(path):
    with open(path, encoding="utf-8") as f:
        return f.read().split("\n")[:-1]


def key(text):
    """A sentence without case, punctuation and spaces: what counts as the same when leaks are looked for."""
    return "".join(c for c in text.casefold() if not c.isspace() and unicodedata.category(c)[0] != "P")


# ---- one spelling and one punctuation ----------------------------------------------------------------------

HALF_TO_FULL = {"?": "？", "!": "！", ",": "，", ";": "；", ":": "：", "(": "（", ")": "）", "﹐": "，", "､": "、"}
VARIANTS = [("玛莉", "玛丽"), ("Tom", "汤姆"), ("Mary", "玛丽"), ("John", "约翰"), ("甚么", "什么"), ("妳", "你"),
            ("麽", "么"), ("裏", "里"), ("幚", "帮"), ("髪", "发"), ("昰", "是"), ("瞭", "了"), ("覚", "觉"), ("...", "……")]
ZHU_KEPT = re.compile("(?<![名专显巨原编论卓土遗])著(?![名作者称])")


def clean_zh(zh, en):
    """Chinese as most of Tatoeba writes it, in mainland characters: full-width marks, no inner spaces, one spelling."""
    zh = zh.replace("\u200b", "").replace("\u3000", " ").replace("\ufeff", "").strip()
    for old, new in VARIANTS:
        zh = zh.replace(old, new)
    zh = ZHU_KEPT.sub("着", zh)
    out = []
    for i, c in enumerate(zh):
        between_digits = 0 < i < len(zh) - 1 and zh[i - 1].isdigit() and zh[i + 1].isdigit()
        out.append(c if between_digits else HALF_TO_FULL.get(c, c))
    zh = "".join(out)
    zh = re.sub(r"(?<=[^\x00-\x7f]) +| +(?=[^\x00-\x7f])", "", zh)
    zh = re.sub(r"(?<=[\u4e00-\u9fff])\.$", "。", zh)
    zh = zh.replace("＂", '"')
    if '"' in zh and zh.count('"') % 2 == 0:
        pieces = zh.split('"')
        zh = pieces[0] + "".join(("“" if i % 2 == 0 else "”") + p for i, p in enumerate(pieces[1:]))
        zh = zh.replace("” “", "”“")
    if re.search(r"[\u4e00-\u9fff]$", zh) and en and en[-1] in ".?!":
        zh += {".": "。", "?": "？", "!": "！"}[en[-1]]
    return zh


# ---- names -------------------------------------------------------------------------------------------------

class Names:
    """The table of given names, handing out the least used ones first so that all become equally frequent."""

    def __init__(self, rng):
        rows = read_rows("names.tsv", 3)
        self.rng = rng
        self.given = [(en, zh, g) for en, zh, g in rows if g != "s"]
        self.surnames = [(en, zh) for en, zh, g in rows if g == "s"]
        self.by_english = {en: (zh, g) for en, zh, g in self.given}
        self.used = collections.Counter()

    def pick(self, gender, taken):
        """A name of gender m or f ('': any) that is not in `taken` (a set of Chinese and English forms)."""
        fit = [n for n in self.given
               if (not gender or n[2] in (gender, "u")) and n[0] not in taken and n[1] not in taken]
        name = min(fit, key=lambda n: (self.used[n[0]], self.rng.random()))
        self.used[name[0]] += 1
        return name


def names_in(en, zh, names):
    """The names a pair mentions equally often on both sides, or None when any mention is doubtful."""
    found = []
    for word in dict.fromkeys(re.findall(r"\b[A-Z][a-z]+\b", en)):
        if word not in names.by_english:
            continue
        name_zh = names.by_english[word][0]
        if len(name_zh) < 2:
            return None
        there = len(re.findall(rf"\b{word}\b", en))
        if there != zh.count(name_zh):
            return None
        found.append(word)
    if not found:
        return None
    if re.search(r"\b[A-Z][a-z]+ and [A-Z][a-z]+ is\b", en):  # the play, not the people
        return None
    known = set(found) | {"I"}
    for word in found:
        for after in re.findall(rf"\b{word} ([A-Z]\w*)", en):
            if after not in known:
                return None
        if any(f"{title} {word}" in en for title in TITLES):
            return None
        name_zh = names.by_english[word][0]
        if re.search(name_zh + "[森逊斯·•]", zh) or f"·{name_zh}" in zh:
            return None
    return found


def swap_names(en, zh, found, names):
    """The pair with every name of `found` replaced by another."""
    gendered = bool(GENDERED.search(en) or GENDERED_ZH.search(zh))
    taken = set(found) | {names.by_english[w][0] for w in found}
    taken |= set(re.findall(r"\b[A-Z][a-z]+\b", en))
    plan = []
    for word in found:
        old_zh, gender = names.by_english[word]
        new_en, new_zh, _ = names.pick(gender if gendered and gender != "u" else "", taken)
        taken |= {new_en, new_zh}
        plan.append((word, old_zh, new_en, new_zh))
    marks = {w: f"\x01{i}\x02" for i, (w, _, _, _) in enumerate(plan)}
    for word, old_zh, _, _ in plan:
        en = re.sub(rf"\b{word}\b", marks[word], en)
        zh = zh.replace(old_zh, marks[word])
    for word, _, new_en, new_zh in plan:
        en = en.replace(marks[word], new_en)
        zh = zh.replace(marks[word], new_zh)
    return en, zh


def name_for_pronoun(en, zh, names):
    """The pair with its only "he", "she" or "him" made a name, or None when that is not safe."""
    words = PERSON_WORDS.findall(en)
    if len(words) != 1 or re.search(r"\b(it|they|them|their)\b", en, re.I):
        return None
    word = words[0]
    gender = "f" if word.lower() in ("she", "her", "hers", "herself") else "m"
    mark = "她" if gender == "f" else "他"
    hits = [m.start() for m in re.finditer("[他她]", zh)]
    if len(hits) != 1 or zh[hits[0]] != mark:
        return None
    at = hits[0]
    before, after = zh[at - 1:at], zh[at + 1:at + 2]
    if before in ("其", "吉", "利") or after in ("们", "人", "乡", "俩"):
        return None
    if word in ("He", "She"):
        fits = en.startswith(word + " ") and at == 0
    elif word in ("he", "she"):
        fits = re.search(rf"^(Is|Was|Does|Did|Has|Can|Will|Could|Should|Would) {word} ", en) and at == 0
    elif word == "him":
        fits = after != "的"
    else:
        as_object = r"\bher([.?!]| (to|in|at|for|on|with|yesterday|about)\b)"
        fits = word == "her" and after != "的" and re.search(as_object, en)
    if not fits:
        return None
    new_en, new_zh, _ = names.pick(gender, set(re.findall(r"\b[A-Z][a-z]+\b", en)))
    return re.sub(rf"\b{word}\b(?!')", new_en, en), zh[:at] + new_zh + zh[at + 1:]


# ---- templates ---------------------------------------------------------------------------------------------

def third_person(verb):
    irregular = {"have": "has", "do": "does", "go": "goes", "be": "is"}
    if verb in irregular:
        return irregular[verb]
    if re.search("(s|sh|ch|x|z|o)$", verb):
        return verb + "es"
    return re.sub("([^aeiou])y$", r"\1ie", verb) + "s"


def with_article(noun):
    return ("an " if noun[0] in "aeiou" and not noun.startswith(("uni", "eu", "use")) else "a ") + noun


def plural(noun):
    irregular = {"mouse": "mice", "child": "children", "sheep": "sheep", "fish": "fish", "knife": "knives",
                 "wolf": "wolves", "leaf": "leaves", "man": "men", "woman": "women", "person": "people",
                 "potato": "potatoes", "tomato": "tomatoes", "goose": "geese", "fox": "foxes"}
    if noun in irregular:
        return irregular[noun]
    if re.search("(s|sh|ch|x)$", noun):
        return noun + "es"
    return re.sub("([^aeiou])y$", r"\1ie", noun) + "s"


def sentence_case(en):
    """First letter large, also after the end of a sentence inside the line."""
    return re.sub(r"(^|[.?!] )([a-z])", lambda m: m.group(1) + m.group(2).upper(), en)


class Templates:
    """Fills the slots of own.tsv. The README of this folder names them."""

    SLOT = re.compile(r"\{([A-Za-z]+)(\d?)(?:[.:]([a-z]+))?\}")

    def __init__(self, rng, names):
        self.rng = rng
        self.names = names
        self.kinds = collections.defaultdict(list)
        for row in read_rows("slots.tsv", 3) + read_rows("places.tsv", 3):
            self.kinds[row[0]].append((row[1], row[2], row[3] if len(row) > 3 else ""))
        for en, zh in names.surnames:
            self.kinds["surname"].append((en, zh, ""))

    def subject(self, taken):
        """A pronoun, or two times in five a name, as a subject with its agreement."""
        if self.rng.random() < 0.4:
            en, zh, g = self.names.pick("", taken)
            taken |= {en, zh}
            return (en, en, zh, "is", "was", "has", "does", True)
        return self.rng.choice(PRONOUNS)

    def fill(self, en, zh):
        """One expansion of a template."""
        taken, bound = set(), {}
        for text in (en, zh):
            for kind, number, arg in self.SLOT.findall(text):
                slot = kind + number
                if slot in bound or kind in ("V", "is", "was", "has", "does", "Is", "Was", "Does"):
                    continue
                if len(kind) == 1 and kind in "ABC":
                    bound[slot] = self.names.pick(arg if arg in ("m", "f") else "", taken)
                    taken |= set(bound[slot][:2])
                elif kind == "P":
                    bound[slot] = self.subject(taken)
                elif kind in self.kinds:
                    options = [o for o in self.kinds[kind] if o[0] not in taken and o[1] not in taken]
                    bound[slot] = self.rng.choice(options)
                    taken |= set(bound[slot][:2])
                else:
                    sys.exit(f"own.tsv: no table for the slot {{{slot}}} in: {en}")
        out_en = self.SLOT.sub(lambda m: self.english(m, bound), en)
        out_zh = self.SLOT.sub(lambda m: self.chinese(m, bound), zh)
        return sentence_case(out_en), out_zh

    @staticmethod
    def english(match, bound):
        kind, number, arg = match.groups()
        person = bound.get("P")
        if kind == "V":
            return third_person(arg) if person[7] else arg
        if kind in ("is", "was", "has", "does", "Is", "Was", "Does"):
            word = person[{"is": 3, "was": 4, "has": 5, "does": 6}[kind.lower()]]
            return word.capitalize() if kind[0].isupper() else word
        if kind == "P":
            return person[0]
        word = bound[kind + number][0]
        if arg == "a":
            return with_article(word)
        return plural(word) if arg == "pl" else word

    @staticmethod
    def chinese(match, bound):
        kind, number, arg = match.groups()
        if kind == "P":
            return bound[kind][2]
        _, zh, measure = bound[kind + number]
        if arg == "a":
            return "一" + measure + zh
        return measure + zh if arg == "m" else zh


def own_pairs(templates, rate):
    """own.tsv expanded: each plain phrase once and as a hasty visitor types it, each template some times."""
    out = []
    for row in read_rows("own.tsv", 2):
        en, zh = row[0], row[1]
        if "{" not in en and "{" not in zh:
            out.append((en, zh))
            bare = en.rstrip(".!?")
            hasty = dict.fromkeys((bare, bare[0].lower() + bare[1:], en[0].lower() + en[1:]))
            out += [(v, zh) for v in hasty if v != en and not v.startswith("i ")]
            continue
        wanted = max(1, round(rate * (int(row[2]) if len(row) > 2 else 8)))
        seen = {}
        for _ in range(wanted * 3):
            if len(seen) == wanted:
                break
            seen[templates.fill(en, zh)] = True
        out += list(seen)
    return out


def verb_pairs(templates, rng):
    """verbs.tsv in the frames of frames.tsv, with names and pronouns around them."""
    out = []
    frames = read_rows("frames.tsv", 4)
    for base, third, past, ing, participle, zh, zh_past, *flags in read_rows("verbs.tsv", 7):
        flags = flags[0] if flags else ""
        for which, count, frame_en, frame_zh in frames:
            fits = {"*": True, "a": not set(flags) & set("sN"), "s": "s" in flags, "p": "p" in flags,
                    "g": not set(flags) & set("sxtN"), "d": "d" in flags}[which]
            if not fits or ("N" in flags and "n't" in frame_en):
                continue
            for _ in range(int(count)):
                out.append(fill_frame(templates, rng, (base, third, past, ing, participle), (zh, zh_past),
                                      frame_en, frame_zh))
    return out


def fill_frame(templates, rng, forms, chinese, frame_en, frame_zh):
    names = templates.names
    base, third, past, ing, participle = forms
    taken = set()

    def someone(share):
        if rng.random() < share:
            en, zh, _ = names.pick("", taken)
            taken.update((en, zh))
            return (en, en, zh, "is", "was", "has", "does", True)
        return rng.choice(PRONOUNS)

    subject = someone(0.65)
    target = someone(0.65)
    while target[2] == subject[2] or (subject[0] in ("I", "we") and target[0] in ("I", "we")):
        target = someone(0.65)
    if "{S3}" in frame_en or frame_en.startswith("I "):
        while subject[0] in ("I", "we") or subject[2] == target[2]:
            subject = someone(0.65)
    three = subject[7]
    animals = rng.sample(templates.kinds["animal"], 2) if "{animal" in frame_en else None
    name = names.pick("", taken) if "{A}" in frame_en else None
    english = {
        "S": subject[0], "S3": subject[1], "O": target[1], "v": base, "vs": third if three else base,
        "vs3": third, "ved": past, "ving": ing, "vpp": participle, "is": subject[3], "Is": subject[3],
        "was": subject[4], "has": subject[5], "does": subject[6], "Does": subject[6],
        "want": "wants" if three else "want",
        "is3": "is", "animal": animals and animals[0][0],
        "animal2": animals and animals[1][0], "A": name and name[0]}
    chin = {
        "S": subject[2], "S3": subject[2], "O": target[2], "z": chinese[0].replace("~", target[2]),
        "zed": chinese[1].replace("~", target[2]), "b": chinese[0].replace("~", ""),
        "za": animals and chinese[0].replace("~", animals[1][1]),
        "zaed": animals and chinese[1].replace("~", animals[1][1]),
        "zA": name and chinese[0].replace("~", name[1]), "animal": animals and animals[0][1],
        "A": name and name[1]}
    out_en = re.sub(r"\{(\w+)\}", lambda m: english[m.group(1)], frame_en)
    return sentence_case(out_en), re.sub(r"\{(\w+)\}", lambda m: chin[m.group(1)], frame_zh)


# ---- all together ------------------------------------------------------------------------------------------

def swapped_pairs(base, names, rng, wanted):
    """Pairs of train with other names, every mention of the source spread over the whole table."""
    candidates = []
    for en, zh in base:
        found = None if ABOUT_NAMES.search(en) else names_in(en, zh, names)
        if found:
            candidates.append((en, zh, found))
    out = []
    while candidates and len(out) < wanted:
        rng.shuffle(candidates)
        out += [swap_names(en, zh, found, names) for en, zh, found in candidates[:wanted - len(out)]]
    return out


def pronoun_pairs(base, names, rng, wanted):
    order = list(base)
    rng.shuffle(order)
    out = []
    for en, zh in order:
        pair = name_for_pronoun(en, zh, names)
        if pair:
            out.append(pair)
        if len(out) == wanted:
            break
    return out


def hasty_pairs(base, rng, wanted):
    """Short pairs as they are typed in haste: small first letter, no full stop, or both."""
    short = [(en, zh) for en, zh in base if 2 <= len(en.split()) <= 8 and re.match(r"[A-Z][a-z]* ?", en)
             and en[-1] in ".?!" and not re.search(r"[.?!] ", en)]
    out = []
    for en, zh in rng.sample(short, min(wanted, len(short))):
        first = en.split()[0]
        keep_case = first in ("I", "I'm", "I'll", "I've", "I'd") or not (first.lower() in COMMON_FIRST)
        bare = en[:-1] if rng.random() < 0.8 else en
        out.append((bare if keep_case else bare[0].lower() + bare[1:], zh))
    return [p for p in out if p[0]]


def main():
    parser = argparse.ArgumentParser(description="Enlarge the Tatoeba English-Chinese training pairs.")
    parser.add_argument("--data", required=True, help="folder with train, dev and test, .en and .zh")
    parser.add_argument("--out", required=True, help="folder to write the same six files to")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--swaps", type=int, default=8500, help="pairs with other names")
    parser.add_argument("--rate", type=float, default=0.8, help="share of own.tsv's expansions")
    parser.add_argument("--pronouns", type=int, default=2500, help="pairs whose pronoun becomes a name")
    parser.add_argument("--hasty", type=int, default=1500, help="pairs typed in haste")
    parser.add_argument("--show", type=int, default=0, help="print so many random added pairs")
    args = parser.parse_args()

    rng = random.Random(args.seed)
    raw = {split: [read_lines(os.path.join(args.data, f"{split}.{side}")) for side in ("en", "zh")]
           for split in ("train", "dev", "test")}
    held_en = {key(en) for s in ("dev", "test") for en in raw[s][0]}
    held_zh = {key(clean_zh(zh, en)) for s in ("dev", "test") for en, zh in zip(*raw[s])}
    for row in read_rows("everyday.tsv", 2):
        held_en.add(key(row[0]))

    names = Names(rng)
    templates = Templates(rng, names)
    base = [(en.strip(), clean_zh(zh, en.strip())) for en, zh in zip(*raw["train"])]
    parts = [
        ("tatoeba", base),
        ("own phrases and templates", own_pairs(templates, args.rate)),
        ("verbs between people", verb_pairs(templates, rng)),
        ("a pronoun made a name", pronoun_pairs(base, names, rng, args.pronouns)),
        ("typed in haste", hasty_pairs(base, rng, args.hasty)),
        ("names swapped", swapped_pairs(base, names, rng, args.swaps)),
    ]

    seen, kept, added = set(), [], []
    for label, pairs in parts:
        left = leaks = 0
        for en, zh in pairs:
            if key(en) in held_en or key(zh) in held_zh:
                leaks += 1
            elif (en, zh) not in seen:
                seen.add((en, zh))
                kept.append((en, zh))
                left += 1
                if label != "tatoeba":
                    added.append((label, en, zh))
        print(f"{label}: {left} kept of {len(pairs)}, {leaks} equal to held-out sentences")

    os.makedirs(args.out, exist_ok=True)
    for column, side in enumerate(("en", "zh")):
        with open(os.path.join(args.out, f"train.{side}"), "w", encoding="utf-8") as f:
            f.writelines(pair[column] + "\n" for pair in kept)
        for split in ("dev", "test"):
            with open(os.path.join(args.out, f"{split}.{side}"), "w", encoding="utf-8") as f:
                f.writelines(line + "\n" for line in raw[split][column])
    mentions = collections.Counter(w for en, _ in kept for w in set(re.findall(r"\b[A-Z][a-z]+\b", en)))
    least = sorted(mentions[n[0]] for n in names.given)
    print(f"train: {len(kept)} pairs, {len(added)} added; a name occurs in at least {least[0]}, "
          f"in the median {least[len(least) // 2]} pairs")
    for label, en, zh in rng.sample(added, min(args.show, len(added))):
        print(f"{label}\t{en}\t{zh}")


if __name__ == "__main__":
    main()
