#!/usr/bin/env python3
"""Golden logits of a GPT-2 as Hugging Face transformers stores it: Conv1D products, c_attn in one.

    golden_gpt2.py      writes tests/data/gpt2/: a random GPT2LMHeadModel, a tokenizer of its size, its logits

Peers: transformers and torch, fp32 on the CPU; golden.json names their versions.
"""
import json
import pathlib
import shutil

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data"
TEXTS = [[1, 5, 9, 4, 17, 2, 8, 6, 11], [1], [1, 7, 7, 19, 4, 10, 13, 3, 18, 18, 6, 14, 15, 12, 2]]


def main():
    torch.manual_seed(7)
    config = GPT2Config(vocab_size=20, n_embd=16, n_layer=2, n_head=4, n_positions=20, n_inner=24,
                        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=1, eos_token_id=2)
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for p in model.parameters():  # small first weights would hide mistakes
            p.copy_(torch.randn_like(p) * 0.4 + (1 if p.dim() == 1 else 0))
    folder = DATA / "gpt2"
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    shutil.copy(DATA / "marian" / "tokenizer.json", folder / "tokenizer.json")
    with torch.no_grad():
        logits = [model(torch.tensor([ids])).logits[0].flatten().tolist() for ids in TEXTS]
    golden = {"peer": f"transformers {transformers.__version__}, torch {torch.__version__}",
              "texts": TEXTS, "logits": [[float(f"{x:.7g}") for x in row] for row in logits]}
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")


main()
