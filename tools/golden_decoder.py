#!/usr/bin/env python3
"""Golden logits of decoders as Hugging Face transformers stores them, and a check of decoder folders.

    golden_decoder.py llama|gpt2    writes tests/data/llama/ or tests/data/gpt2/: a random LlamaForCausalLM or
                                    GPT2LMHeadModel (Conv1D products, c_attn in one) as transformers saves it,
                                    a tokenizer of its size, and its logits
    golden_decoder.py check FOLDER  opens a model folder of ours with LlamaForCausalLM.from_pretrained: every tensor
                                    must be taken and none be missing; prints the likeliest ids after <s>

Peers: transformers and torch, fp32 on the CPU; golden.json names their versions.
"""
import json
import pathlib
import shutil
import sys

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data"
TEXTS = [[1, 5, 9, 4, 17, 2, 8, 6, 11], [1], [1, 7, 7, 19, 4, 10, 13, 3, 18, 18, 6, 14, 15, 12, 2]]


def llama():
    return LlamaForCausalLM(LlamaConfig(
        vocab_size=20, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=20, rms_norm_eps=1e-6,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0}, tie_word_embeddings=False, pad_token_id=None,
        bos_token_id=1, eos_token_id=2))


def gpt2():
    return GPT2LMHeadModel(GPT2Config(
        vocab_size=20, n_embd=16, n_layer=2, n_head=4, n_positions=20, n_inner=24, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=1, eos_token_id=2))


def make(name, new):
    torch.manual_seed(7)
    model = new().eval()
    with torch.no_grad():
        for p in model.parameters():  # small first weights would hide mistakes
            p.copy_(torch.randn_like(p) * 0.4 + (1 if p.dim() == 1 else 0))
    folder = DATA / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    shutil.copy(DATA / "marian" / "tokenizer.json", folder / "tokenizer.json")
    with torch.no_grad():
        logits = [model(torch.tensor([ids])).logits[0].flatten().tolist() for ids in TEXTS]
    golden = {"peer": f"transformers {transformers.__version__}, torch {torch.__version__}",
              "texts": TEXTS, "logits": [[float(f"{x:.7g}") for x in row] for row in logits]}
    (folder / "golden.json").write_text(json.dumps(golden) + "\n")


def check(folder):
    model, info = LlamaForCausalLM.from_pretrained(folder, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info[kind]:
            sys.exit(f"{folder}: {kind}: {info[kind]}")
    with torch.no_grad():
        logits = model.eval()(torch.tensor([[1, 5, 6, 7]])).logits[0]
    print("ids", logits.argmax(-1).tolist())
    print("logits", [round(x, 5) for x in logits[-1, :8].tolist()])


KINDS = {"llama": llama, "gpt2": gpt2}
if len(sys.argv) == 2 and sys.argv[1] in KINDS:
    make(sys.argv[1], KINDS[sys.argv[1]])
elif len(sys.argv) == 3 and sys.argv[1] == "check":
    check(sys.argv[2])
else:
    sys.exit(__doc__)
