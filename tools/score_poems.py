#!/usr/bin/env python3
"""Form, rhyme and copying of poems that `attend generate` wrote with a model of recipes/poems-zh.json.

    attend generate --model poems-zh --lines --json --temperature 0.6 --top-p 0.9 < poems/prompts.txt > written.jsonl
    tools/score_poems.py --data data/poems-zh written.jsonl
    tools/score_poems.py --data data/poems-zh --text poems/test.txt      # the same of poems by people

form    the number of lines and the length of each are those of the form that the heading asks for (七绝: 4 of 7)
rhyme   all even lines end in one group of the rhyme book; of the poems whose form asks for it and is right
named   they end in the group that the heading names
twice   of those that rhyme, how many take a rhyme word twice, which the rules forbid
copied  lines that stand in train.tsv as they are; and for the lines that come nearest to one of train without
        being one, that line (--show N poems with the nearest line of train beside each of theirs)

Nearest is the line of train of the same length with the most characters in the same places.
"""
import argparse
import collections
import json
import pathlib

from make_poems import FORMS, form_of, read_poems, read_rhymes, rhyme_of, verses

SIZES = {form: size for size, form in FORMS.items()}


class Book:
    """The lines of train, found by what stands in which place."""

    def __init__(self, path):
        self.lines = sorted({line for _, lines in read_poems(path) for line in lines})
        self.known = set(self.lines)
        self.places = collections.defaultdict(list)
        for i, line in enumerate(self.lines):
            for place, c in enumerate(line):
                self.places[len(line), place, c].append(i)

    def nearest(self, line):
        """(characters in common, line)"""
        hits = collections.Counter()
        for place, c in enumerate(line):
            hits.update(self.places.get((len(line), place, c), ()))
        if not hits:
            return 0, "-"
        i, common = min(hits.items(), key=lambda hit: (-hit[1], hit[0]))
        return common, self.lines[i]


def read_written(path):
    """(heading, what of it was asked for, lines as they stand) of each text."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            text = json.loads(line)
            whole = text["begin"] + text["text"]
        except (ValueError, KeyError, TypeError):
            raise SystemExit("%s:%d: no object of `attend generate --json`" % (path, number))
        first, _, body = whole.partition("\n")
        yield first, text["begin"].partition("\n")[0], body.splitlines()


def read_text(path):
    for part in path.read_text(encoding="utf-8").split("\n\n"):
        first, _, body = part.strip("\n").partition("\n")
        if first:
            yield first, first, body.splitlines()


def form_in(heading):
    """The form that a heading names last, or None."""
    return next((word for word in reversed(heading.split()) if word in SIZES), None)


def has_form(rows, form):
    """Each verse on a line of its own, closed by a comma or a full stop."""
    if any(not row or row[-1] not in "，。" or len(verses(row)) != 1 for row in rows):
        return False
    return form_of([verses(row)[0] for row in rows]) == form


def score(poems, groups, book):
    counts = collections.Counter()
    forms = collections.Counter()
    shown, near = [], []
    for heading, asked, rows in poems:
        counts["poems"] += 1
        form, rhyme = form_in(asked), heading.split()[-1][:1]  # 东韵
        if not form:
            counts["old"] += 1
            continue
        lines = [verses(row)[0] for row in rows if verses(row)]
        good = has_form(rows, form)
        found = rhyme_of(lines, groups) if good else None
        forms[form] += 1
        forms[form, "form"] += good
        forms[form, "rhyme"] += found is not None
        counts["named"] += found is not None and all(rhyme in groups.get(x[-1], []) for x in lines[1::2])
        ends = [x[-1] for x in lines[1::2]]
        counts["twice"] += found is not None and len(set(ends)) < len(ends)
        pairs = []
        for line in lines:
            common, neighbour = book.nearest(line)
            counts["lines"] += 1
            counts["copied"] += line in book.known
            pairs.append((line, common, neighbour))
            if line not in book.known:
                near.append((common / len(line), line, neighbour))
        shown.append((heading, good, found, pairs))
    return counts, forms, shown, near


def percent(part, whole):
    return "%d of %d (%.1f %%)" % (part, whole, 100 * part / whole if whole else 0)


def report(counts, forms, near):
    asked = counts["poems"] - counts["old"]
    right = sum(forms[form, "form"] for form in SIZES)
    rhymed = sum(forms[form, "rhyme"] for form in SIZES)
    print("poems    %d; of old style, not scored: %d" % (counts["poems"], counts["old"]))
    print("form     %s" % percent(right, asked))
    print("rhyme    %s of those asked for, %s of those of right form" % (percent(rhymed, asked), percent(rhymed, right)))
    print("named    %s in the group that the heading names" % percent(counts["named"], asked))
    print("twice    %s of those that rhyme take a rhyme word twice" % percent(counts["twice"], rhymed))
    print("copied   %s of the lines stand in train" % percent(counts["copied"], counts["lines"]))
    for form in SIZES:
        print("%s     %d, form %d, rhyme %d" % (form, forms[form], forms[form, "form"], forms[form, "rhyme"]))
    print("nearest to a line of train, but not one:")
    for part, line, neighbour in sorted(near, reverse=True)[:5]:
        print("  %3.0f %%  %s  ~  %s" % (100 * part, line, neighbour))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("written", type=pathlib.Path, nargs="?", help="what `attend generate --json` printed")
    parser.add_argument("--text", type=pathlib.Path, help="instead: a text of tools/make_poems.py")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder with train.tsv and rhymes.txt")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="print N poems, each line with its nearest")
    args = parser.parse_args()
    if (args.written is None) == (args.text is None):
        parser.error("one of the two: a file of `attend generate --json`, or --text")
    poems = read_text(args.text) if args.text else read_written(args.written)
    groups = read_rhymes(args.data / "rhymes.txt")
    counts, forms, shown, near = score(poems, groups, Book(args.data / "train.tsv"))
    for heading, good, found, pairs in shown[: args.show]:
        print("%s  [form %s, rhyme %s]" % (heading, "right" if good else "wrong", found or "none"))
        for line, common, neighbour in pairs:
            print("  %s  %d of %d as in  %s" % (line, common, len(line), neighbour))
        print()
    report(counts, forms, near)


if __name__ == "__main__":
    main()
