#!/usr/bin/env python3
"""Checks what no compiler does: lengths of files, functions and lines, words that mark unfinished work,
a role comment at the head of every header, a README in every folder of src/.

usage: tools/lint_text.py          (from the top folder; prints FILE:LINE: what, exit 1 if anything)
"""
import pathlib
import re
import sys

FILE_LINES, FUNCTION_LINES, COLUMNS = 800, 80, 110
# Cut in two each, so that this file does not hold them.
WORDS = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|for" + r" now|st" + r"ub|place" + r"holder|simpl" + r"ified)\b", re.I)
CHINESE = "Simpl" + "ified"  # the script
# Data and texts of the field may use these words; code and our own pages may not.
TEXT_SUFFIXES = {".c", ".h", ".sh", ".py", ".txt", ".md", ".in", ".yml"}
TABLES = re.compile(r"/(unicode|tables?)_?[a-z]*\.[ch]$")


def function_lengths(lines):
    """Yields (line, length) of functions: a brace alone in column 1 up to its partner in column 1."""
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            yield start - 1, number - start + 1
            start = None


def check_source(path, lines, report):
    if len(lines) > FILE_LINES:
        report(path, len(lines), f"{len(lines)} lines; at most {FILE_LINES}")
    for line, length in function_lengths(lines):
        if length > FUNCTION_LINES:
            report(path, line, f"function of {length} lines; at most {FUNCTION_LINES}")
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS:
            report(path, number, f"{len(line)} columns; at most {COLUMNS}")
        if "\t" in line:
            report(path, number, "a tab")
    if path.suffix == ".h" and path.parts[0] == "src":
        opening = f"/* {'/'.join(path.parts[1:])} - "
        if not lines or not lines[0].startswith(opening):
            report(path, 1, f"a header opens with '{opening}…'")


def main():
    problems = []

    def report(path, line, text):
        problems.append(f"{path}:{line}: {text}")

    roots = ["src", "tests", "include", "tools", "docs", "recipes", "cmake", "bench"]
    files = [p for r in roots for p in sorted(pathlib.Path(r).rglob("*")) if p.is_file()]
    files += [p for p in sorted(pathlib.Path(".").glob("*")) if p.is_file()]
    for path in files:
        if path.suffix not in TEXT_SUFFIXES or path.parts[:2] == ("tests", "data") or path.name == "lint_text.py":
            continue
        lines = path.read_text(encoding="utf-8").splitlines()
        if path.suffix in {".c", ".h"} and not TABLES.search("/" + str(path)):
            check_source(path, lines, report)
        for number, line in enumerate(lines, 1):
            found = WORDS.search(line)
            if found and "lint: word" not in line and found.group() != CHINESE:
                report(path, number, f"'{found.group()}' marks unfinished work: finish it, or say what is true")
    for folder in sorted(pathlib.Path("src").iterdir()):
        if folder.is_dir() and any(folder.rglob("*.c")) and not (folder / "README.md").exists():
            report(folder, 1, "no README.md")
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


sys.exit(main())
