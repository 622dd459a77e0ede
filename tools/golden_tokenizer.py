#!/usr/bin/env python3
"""Golden values of Hugging Face tokenizers and sacremoses for tests/text, and checks at full size.

Peers: tokenizers 0.23.3, sacremoses 0.2.0 (Python only, never needed by build or tests).

    golden_tokenizer.py make PROGRAM SHAKESPEARE EN DE ZH
        writes tests/data/text/*. PROGRAM is build/attend, which learns the 1,000 pieces from the texts.
    golden_tokenizer.py encode PROGRAM TOKENIZER FILE...     ids of every line, against tokenizers
    golden_tokenizer.py train PROGRAM SIZE FILE...           vocabulary and merges, against BpeTrainer
    golden_tokenizer.py moses LANGUAGE FILE...               lines for `moses` of the tests, on stdout

Every check closes with how many lines were compared and how many differ.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

from tokenizers import (AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "data", "text")
SPECIALS = ["<pad>", "<s>", "</s>", "<unk>"]

ODD = [
    "", " ", "   ", "\t\t tab  two   three    ", "a\u00a0b\u3000c\u2003d", "a\u180eb", "x\u0085y\u2028z",
    "\u200bzero\u200bwidth\ufeff", "👨‍👩‍👧‍👦 family", "❤️abc ☺︎", "🇩🇪🇨🇳", "e\u0301cole cafe\u0301 \u0301x", "שלום עולם",
    "مرحبا بالعالم ٣٤٥", "नमस्ते दुनिया", "สวัสดีชาวโลก", "日本語のテキスト、カタカナ。", "〇一二三々 第3章", "ﬁ ﬂ Ⅷ ½ ①",
    "㐀𠀀𪜀𰀀", "한국어 텍스트", "Straße Äpfel ÜBER İstanbul ΣΑΣ", "1234567 3.14 10,000", "𝒳𝓎 𝟘𝟙",
    "\x00\x01 null \x7f", "</s> <pad><unk> x</s>", "I'm don't 'dog' they'll've 'sand rock'n'roll",
    "!?…—“x”„y“«z»", "a" * 130, "ab" * 90, "汤姆" * 60, "!?" * 60, " " * 70, "\U0010fffd\ue000", "\r\n\n\r",
    "Ünïcödé ñ", "don’t", "C++ and C#; f(x)=x^2", "user@example.com https://example.com/a?b=c#d",
    "汤姆追杰瑞。", "我love你，2024年！", "Tom chases Jerry.",
]
OWN = [
    "The cat, which had slept all day, finally got up.", "Where did you put my keys?", "It's 5 o'clock; let's go!",
    "Der Hund läuft schnell über die Straße.", "Können Sie mir bitte helfen?", "Das ist nicht so schlimm, wie du denkst.",
    "Zwei Männer stehen auf einer Brücke und angeln.", "Donaudampfschifffahrtsgesellschaft",
    "今天天气很好，我们去公园吧。", "你叫什么名字？", "他昨天买了三本书和一支笔。", "请把门关上，谢谢！", "北京是中国的首都。",
]


def random_lines(count):
    rng = random.Random(1)
    for _ in range(count):
        text = ""
        for _ in range(rng.randint(1, 20)):
            r = rng.random()
            low, high = ((0x20, 0x7e) if r < 0.4 else (0x80, 0x2fff) if r < 0.7 else (0x3000, 0xffff) if r < 0.9
                         else (0x10000, 0x10ffff))
            c = rng.randint(low, high)
            text += " " if 0xd800 <= c <= 0xdfff else chr(c)
        yield text


def lines_of(path, limit=None):
    with open(path, encoding="utf-8", newline="\n") as file:
        lines = file.read().split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    return [line[:-1] if line.endswith("\r") else line for line in lines][:limit]


def write_json(name, value):
    with open(os.path.join(FOLDER, name), "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in value) + "\n]\n")


def golden_rows(tokenizer, lines):
    rows = []
    for text in lines:
        row = {"hex": text.encode().hex()} if "\0" in text else {"text": text}
        tokenizer.encode_special_tokens = True
        row["ids"] = tokenizer.encode(text).ids
        tokenizer.encode_special_tokens = False
        special = tokenizer.encode(text).ids
        if special != row["ids"]:
            row["special"] = special
        rows.append(row)
    return rows


def other_form(lines):
    """GPT-2's shape: ByteLevel does the splitting, a normalizer in front, added tokens of all kinds."""
    t = Tokenizer(models.BPE(unk_token=None))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|endoftext|>"], show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    t.train_from_iterator(lines, trainer)
    t.add_tokens([AddedToken("<name>", normalized=False), AddedToken("King", normalized=True),
                  AddedToken("Kingdom", normalized=True)])
    t.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A", pair="<|endoftext|> $A $B", special_tokens=[("<|endoftext|>", 0)])
    return t


def moses_rows(pairs):
    from sacremoses import MosesDetokenizer, MosesPunctNormalizer, MosesTokenizer
    tools = {l: (MosesPunctNormalizer(l, perl_parity=True), MosesTokenizer(l), MosesDetokenizer(l))
             for l in ("en", "de")}
    for language, text in pairs:
        normal, cut, join = tools[language]
        tokens = cut.tokenize(normal.normalize(text))
        yield {"language": language, "text": text, "tokens": " ".join(tokens),
               "plain": " ".join(cut.tokenize(text, escape=False)), "back": join.detokenize(tokens)}


def moses_text():
    """Sentences of our own that meet every rule, in both languages, cased and lower-cased."""
    path = os.path.join(FOLDER, "moses.txt")
    for row in lines_of(path):
        language, text = row.split("\t")
        yield language, text
        if text.lower() != text:
            yield language, text.lower()


def make(program, shakespeare, *texts):
    tokenizer_path = os.path.join(FOLDER, "tokenizer.json")
    subprocess.run([program, "tokenize", "--train", *texts, "--vocab-size", "1000", "--out", tokenizer_path], check=True)
    drama = [line for line in lines_of(shakespeare) if line]
    lines = ODD + OWN + drama[100:130] + list(random_lines(80))
    write_json("encode.json", golden_rows(Tokenizer.from_file(tokenizer_path), lines))
    other = other_form(drama[:4000])
    other.save(os.path.join(FOLDER, "gpt2-form.json"), pretty=False)
    lines = ODD[1:] + OWN + ["Kingdom kingdoms, a <name> and <|endoftext|>KING's"] + drama[100:110]
    write_json("encode-gpt2-form.json", golden_rows(other, lines))
    with open(os.path.join(FOLDER, "train.txt"), "w", encoding="utf-8") as file:
        file.write("\n".join(OWN * 2 + drama[:150] + [o for o in ODD if o.isprintable()]) + "\n")
    write_json("train.json", [hf_trained(tokenizer_path, 400, [os.path.join(FOLDER, "train.txt")])["merges"]])
    write_json("moses.json", moses_rows(moses_text()))


def hf_trained(ours, size, files):
    """What BpeTrainer learns behind the same pre-tokenizer as in `ours`."""
    with open(ours, encoding="utf-8") as file:
        base = json.load(file)
    base["model"].update(vocab={"<unk>": 0}, merges=[])
    base.update(added_tokens=[], post_processor=None)
    t = Tokenizer.from_str(json.dumps(base))
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=SPECIALS, show_progress=False,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    t.train_from_iterator([line for f in files for line in lines_of(f)], trainer)
    model = json.loads(t.to_str())["model"]
    return {"vocab": model["vocab"], "merges": [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]}


def check_encode(program, path, *files):
    t = Tokenizer.from_file(path)
    t.encode_special_tokens = True
    lines = [line for f in files for line in lines_of(f) if "\0" not in line]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="\n") as file:
        file.write("".join(line + "\n" for line in lines))
        file.flush()
        with open(file.name, "rb") as given:
            out = subprocess.run([program, "tokenize", "--tokenizer", path, "--ids", "--close"], stdin=given,
                                 check=True, capture_output=True).stdout.decode().split("\n")
    differ = [line for line, got in zip(lines, out) if " ".join(map(str, t.encode(line).ids)) != got]
    for line in differ[:5]:
        print(repr(line))
    print(f"{len(lines)} lines, {len(differ)} differ")
    return len(differ) > 0


def check_train(program, size, *files):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tokenizer.json")
        subprocess.run([program, "tokenize", "--train", *files, "--vocab-size", size, "--out", path], check=True)
        with open(path, encoding="utf-8") as file:
            ours = json.load(file)["model"]
        theirs = hf_trained(path, int(size), files)
    differ = sum(a != b for a, b in zip(ours["merges"], theirs["merges"]))
    print(f"{len(ours['merges'])} merges, {differ} differ; vocabularies",
          "equal" if ours["vocab"] == theirs["vocab"] else "differ")
    return differ > 0 or ours["vocab"] != theirs["vocab"]


def print_moses(language, *files):
    for row in moses_rows((language, line) for f in files for line in lines_of(f)):
        print(json.dumps(row, ensure_ascii=False))


if __name__ == "__main__":
    commands = {"make": make, "encode": check_encode, "train": check_train, "moses": print_moses}
    if len(sys.argv) < 4 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    sys.exit(commands[sys.argv[1]](*sys.argv[2:]))
