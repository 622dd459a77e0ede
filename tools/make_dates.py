#!/usr/bin/env python3
"""Dates in 20 written forms -> ISO 8601, as TSV files for recipes/dates.json.

    tools/make_dates.py dates            # dates/train.tsv, dates/valid.tsv, dates/test.tsv

Every line is a date as somebody writes it, a tab, YYYY-MM-DD. No date of valid or test occurs in train in any
form, so a model must learn the forms, not the dates. The same seed gives the same files.
"""
import argparse
import datetime
import pathlib
import random

MONTHS = ("January February March April May June July August September October November December").split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
DIGITS = "零一二三四五六七八九"
MOIS = "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split()
MONATE = "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split()


def ordinal(n):
    return "%d%s" % (n, "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th"))


def chinese(n):
    """1 to 31 as it is said: 十二, 二十, 三十一."""
    tens, ones = divmod(n, 10)
    return ("" if tens == 0 else "十" if tens == 1 else DIGITS[tens] + "十") + (DIGITS[ones] if ones else "")


def chinese_year(n):
    return "".join(DIGITS[int(c)] for c in str(n))


FORMS = [
    lambda d: d.strftime("%d/%m/%Y"),
    lambda d: "%d.%d.%d" % (d.day, d.month, d.year),
    lambda d: d.strftime("%Y/%m/%d"),
    lambda d: d.strftime("%Y%m%d"),
    lambda d: "%d %s %d" % (d.day, MONTHS[d.month - 1], d.year),
    lambda d: "%s %d, %d" % (MONTHS[d.month - 1], d.day, d.year),
    lambda d: "%s %s, %d" % (MONTHS[d.month - 1][:3], ordinal(d.day), d.year),
    lambda d: "the %s of %s %d" % (ordinal(d.day), MONTHS[d.month - 1], d.year),
    lambda d: "%s, %d %s %d" % (DAYS[d.weekday()], d.day, MONTHS[d.month - 1], d.year),
    lambda d: "%s %d %s '%02d" % (DAYS[d.weekday()][:3], d.day, MONTHS[d.month - 1][:3], d.year % 100),
    lambda d: "%d-%s-%d" % (d.day, MONTHS[d.month - 1][:3].upper(), d.year),
    lambda d: "%s %d %d" % (MONTHS[d.month - 1].lower(), d.day, d.year),
    lambda d: "%d%s%02d" % (d.day, MONTHS[d.month - 1][:3].lower(), d.year % 100),
    lambda d: "%d. %s %d" % (d.day, MONATE[d.month - 1], d.year),
    lambda d: "le %s %s %d" % ("1er" if d.day == 1 else d.day, MOIS[d.month - 1], d.year),
    lambda d: "%d年%d月%d日" % (d.year, d.month, d.day),
    lambda d: "%s年%s月%s日" % (chinese_year(d.year), chinese(d.month), chinese(d.day)),
    lambda d: "%d年%d月%d号" % (d.year, d.month, d.day),
    lambda d: "day %d of %d" % (d.day, d.year) + " in " + MONTHS[d.month - 1],
    lambda d: "%s/%s/%02d (d/m/y)" % (d.day, d.month, d.year % 100),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--lines", type=int, default=40000, help="of train; valid and test have 1,000 and 2,000")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    assert len(FORMS) == 20
    rng = random.Random(args.seed)
    first = datetime.date(1950, 1, 1)  # years of two digits are 1950 to 2049
    days = [first + datetime.timedelta(i) for i in range((datetime.date(2050, 1, 1) - first).days)]
    rng.shuffle(days)
    splits = {"valid": (days[:1000], 1000), "test": (days[1000:3000], 2000), "train": (days[3000:], args.lines)}
    folder = pathlib.Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, (some, count) in splits.items():
        with open(folder / (name + ".tsv"), "w", encoding="utf-8") as file:
            for i in range(count):
                day = some[i] if name != "train" else rng.choice(some)
                file.write("%s\t%s\n" % (FORMS[i % len(FORMS)](day), day.isoformat()))


main()
