#!/usr/bin/env python3
"""Golden values of the Transformer, and a check of model folders, by Hugging Face transformers.

    golden_model.py make          writes tests/data/marian/: a random MarianMTModel as a model folder, and its logits
    golden_model.py check FOLDER [PROGRAM SENTENCE ...]
                                  opens a model folder of ours with MarianMTModel.from_pretrained; every tensor must
                                  be taken and none be missing; with PROGRAM (build/attend), both translate the
                                  sentences greedily and must agree

Peers: transformers and torch, fp32 on the CPU; golden.json names their versions.
"""
import json
import pathlib
import subprocess
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import MarianConfig, MarianMTModel

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "tests" / "data" / "marian"
OPTIONS = {"family": "transformer", "encoder_layers": 2, "decoder_layers": 2, "d_model": 16, "ffn": 24, "heads": 2,
           "max_length": 20, "positions": "sinusoidal", "norm": "post", "activation": "relu", "tied": "all",
           "shared_values": False, "dropout": 0.1, "attention_dropout": 0.0, "activation_dropout": 0.0}
PIECES = ["<pad>", "<s>", "</s>", "<unk>"] + [f"w{i}" for i in range(4, 20)]
BATCH = [([5, 9, 4, 17, 2], [8, 6, 11, 2]), ([12, 2], [7, 7, 19, 4, 10, 13, 2]), ([3, 18, 18, 6, 14, 15, 2], [2])]


def sinusoids(rows, width):
    place = torch.arange(rows, dtype=torch.float64)[:, None]
    rate = 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    table = torch.empty(rows, width, dtype=torch.float64)
    table[:, 0::2], table[:, 1::2] = torch.sin(place * rate), torch.cos(place * rate)
    return table.float()


def config():
    o = OPTIONS
    return {"architectures": ["MarianMTModel"], "model_type": "marian", "dtype": "float32",
            "vocab_size": len(PIECES), "decoder_vocab_size": len(PIECES), "pad_token_id": 0, "bos_token_id": 1,
            "eos_token_id": 2, "unk_token_id": 3, "decoder_start_token_id": 1, "forced_eos_token_id": 2,
            "d_model": o["d_model"], "encoder_layers": o["encoder_layers"], "decoder_layers": o["decoder_layers"],
            "num_hidden_layers": o["encoder_layers"], "encoder_attention_heads": o["heads"],
            "decoder_attention_heads": o["heads"], "encoder_ffn_dim": o["ffn"], "decoder_ffn_dim": o["ffn"],
            "activation_function": o["activation"], "max_position_embeddings": o["max_length"],
            "dropout": o["dropout"], "attention_dropout": 0.0, "activation_dropout": 0.0, "is_encoder_decoder": True,
            "scale_embedding": True, "static_position_embeddings": True, "tie_word_embeddings": True,
            "share_encoder_decoder_embeddings": True, "attend": {"version": 1, "model": o}}


def tokenizer():
    special = [{"id": i, "content": p, "special": True, "single_word": False, "lstrip": False, "rstrip": False,
                "normalized": False} for i, p in enumerate(PIECES[:4])]
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
            "pre_tokenizer": {"type": "WhitespaceSplit"},
            "post_processor": {"type": "TemplateProcessing",
                               "single": [{"Sequence": {"id": "A", "type_id": 0}},
                                          {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                               "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                                        {"SpecialToken": {"id": "</s>", "type_id": 0}}],
                               "special_tokens": {"</s>": {"id": "</s>", "ids": [2], "tokens": ["</s>"]}}},
            "decoder": None,
            "model": {"type": "WordLevel", "vocab": {p: i for i, p in enumerate(PIECES)}, "unk_token": "<unk>"}}


def logits_of(model):
    """Logits of each target row, sentence by sentence: no padding, as we compute it."""
    rows = []
    with torch.no_grad():
        for source, target in BATCH:
            out = model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([[1] + target[:-1]]))
            rows.append(out.logits[0])
    return torch.cat(rows)


def make():
    torch.manual_seed(5)
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "config.json").write_text(json.dumps(config(), indent=2) + "\n")
    (FOLDER / "tokenizer.json").write_text(json.dumps(tokenizer(), indent=1) + "\n")
    model = MarianMTModel(MarianConfig(**{k: v for k, v in config().items() if k != "attend"})).eval()
    state = model.state_dict()
    kept = {}
    for name, value in state.items():
        if name in ("lm_head.weight", "model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight"):
            continue
        if name.endswith("embed_positions.weight"):
            kept[name] = sinusoids(*value.shape)
        elif name == "final_logits_bias":
            kept[name] = torch.zeros_like(value)
        elif value.dim() == 2:
            kept[name] = torch.randn_like(value) * 0.3
        else:
            kept[name] = torch.randn_like(value) * 0.2 + (1 if name.endswith("norm.weight") else 0)
    save_file(kept, FOLDER / "model.safetensors", metadata={"format": "pt"})
    golden = {"peer": f"transformers {transformers.__version__}, torch {torch.__version__}",
              "source": [s for s, _ in BATCH], "target": [t for _, t in BATCH],
              "logits": [[float(f"{x:.7g}") for x in row] for row in logits_of(open_folder(FOLDER)).tolist()]}
    (FOLDER / "golden.json").write_text(json.dumps(golden) + "\n")
    print("wrote", FOLDER)


def open_folder(folder):
    model, info = MarianMTModel.from_pretrained(folder, output_loading_info=True)
    wrong = {k: v for k, v in info.items() if v}
    if wrong:
        sys.exit(f"{folder}: {wrong}")
    stored = load_file(pathlib.Path(folder) / "model.safetensors")
    state = model.state_dict()
    for name, value in stored.items():
        if not torch.equal(state[name].float(), value.float()):
            sys.exit(f"{folder}: {name} was not taken from the file")
    return model.eval()


def check(folder, program=None, sentences=()):
    model = open_folder(folder)
    print(f"transformers {transformers.__version__} takes all {len(model.state_dict())} tensors")
    if not program:
        return
    from tokenizers import Tokenizer
    pieces = Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    for sentence in sentences:
        ids = torch.tensor([pieces.encode(sentence).ids])
        out = model.generate(ids, num_beams=1, do_sample=False, max_length=64)[0].tolist()
        theirs = pieces.decode(out)
        ours = subprocess.run([program, "translate", "--model", folder, "--beam", "1", sentence], check=True,
                              capture_output=True, text=True).stdout.strip()
        print("same" if ours == theirs.strip() else "DIFFERENT", "|", ours, "|", theirs)


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make()
    elif sys.argv[1:2] == ["check"] and len(sys.argv) > 2:
        check(sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None, sys.argv[4:])
    else:
        sys.exit(__doc__)
