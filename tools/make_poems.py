#!/usr/bin/env python3
"""Chinese verse of regular form, title<TAB>poem, as a text for recipes/poems-zh.json.

    tools/make_poems.py data/poems-zh poems       # poems/train.txt, dev.txt, test.txt, prompts.txt

A poem becomes a paragraph: a heading of title, form and rhyme, then its lines, each with the mark behind it.

    江边 七绝 冬韵
    江边遥对数重峰，
    何处敲来饭后钟。
    …

The form is 五绝 or 七绝 (4 lines of 5 or 7 characters), 五律 or 七律 (8 lines); the rhyme is the name of the
group of the rhyme book in which all even lines end. Both stand right before the poem, so that counting from
there gives the place in a line, and the last character of a line has only to be of the group that is named:
韵, which is rare elsewhere, is easily found, and the character before it is the group.
What does not rhyme by the book is of old style, 五古 or 七古, and has no rhyme in its heading.

五绝 are rare in the corpus (289 of 6,476). The two halves of a 五律 make two more each, as poets of old cut
them (截句); in train only. prompts.txt has the headings of test as far as a user gives them: title and form.
"""
import argparse
import pathlib
import re

FORMS = {(4, 5): "五绝", (4, 7): "七绝", (8, 5): "五律", (8, 7): "七律"}
MARKS = "，。？！；、："


def read_rhymes(path):
    """Character -> names of its groups, level tones first as the book has them: 冬 for 上平二冬."""
    groups = {}
    name = None
    for line in path.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if re.fullmatch(r"(上平|下平|上声|去声|入声)[一二三四五六七八九十]+\w", line):
            name = line[-1]
        elif name:
            for c in re.sub(r"\[[^]]*\]", "", line):
                groups.setdefault(c, [])
                if name not in groups[c]:
                    groups[c].append(name)
    return groups


def verses(poem):
    """Lines without their marks."""
    return [line for line in re.split("[%s]" % MARKS, poem) if line]


def rhyme_of(lines, groups):
    """The group in which all even lines end, or None."""
    ends = [line[-1] for line in lines[1::2]]
    return next((g for g in groups.get(ends[0], []) if all(g in groups.get(c, []) for c in ends)), None)


def form_of(lines):
    """None for what is of no form known here."""
    lengths = {len(line) for line in lines}
    return FORMS.get((len(lines), lengths.pop())) if len(lengths) == 1 else None


def heading(title, lines, groups):
    form, rhyme = form_of(lines), rhyme_of(lines, groups)
    return "%s %s %s韵" % (title, form, rhyme) if rhyme else "%s %s古" % (title, form[0])


def read_poems(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        title, tab, poem = line.partition("\t")
        if not tab:
            raise SystemExit("%s:%d: no tab" % (path, number))
        lines = verses(poem)
        if form_of(lines):
            yield title.strip(), lines


def paragraph(title, lines, groups):
    body = ["%s%s\n" % (line, "。" if i % 2 else "，") for i, line in enumerate(lines)]
    return heading(title, lines, groups) + "\n" + "".join(body)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, help="folder with train.tsv, dev.tsv, test.tsv, rhymes.txt")
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    groups = read_rhymes(args.data / "rhymes.txt")
    args.out.mkdir(parents=True, exist_ok=True)
    for split in ("train", "dev", "test"):
        poems = list(read_poems(args.data / (split + ".tsv")))
        parts = [paragraph(title, lines, groups) for title, lines in poems]
        if split == "train":
            for title, lines in poems:
                if form_of(lines) == "五律" and rhyme_of(lines, groups):
                    parts += [paragraph(title, half, groups) for half in (lines[:4], lines[4:])]
        (args.out / (split + ".txt")).write_text("\n".join(parts), encoding="utf-8")
    asked = ["%s %s\n" % (title, form_of(lines)) for title, lines in poems]
    (args.out / "prompts.txt").write_text("".join(asked), encoding="utf-8")


if __name__ == "__main__":
    main()
