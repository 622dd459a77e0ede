#!/usr/bin/env python3
"""Writes tests/data/gradients-*.safetensors: small Transformers, loss and gradients as PyTorch has them.

Peer: PyTorch 2.13.0 (pip install torch==2.13.0 safetensors numpy), on a padded batch with masks, in
double precision. The network is written with torch's functions (scaled_dot_product_attention, layer_norm,
embedding, cross_entropy with label_smoothing); names of parameters are those of Hugging Face's Marian.

    tools/golden_gradients.py --case post --out tests/data/gradients-post.safetensors
    tools/golden_gradients.py --case pre --out tests/data/gradients-pre.safetensors
    tools/golden_gradients.py --case linformer --out tests/data/gradients-linformer.safetensors
    tools/golden_gradients.py --case linformer-shared --out tests/data/gradients-linformer-shared.safetensors

Linformer is written as in Wang et al. 2020: einsum of keys and values, padding zeroed before it, with E and F.
"""
import argparse
import json
import math

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

WIDTH, FFN, HEADS, VOCABULARY, MAX_LENGTH = 16, 24, 2, 23, 8
PAD, BOS, EOS = 0, 1, 2
SMOOTHING = 0.1
# The paper's own arrangement, and one with every option the other way.
CASES = {
    "post": {"layers": 2, "norm": "post", "activation": "relu", "positions": "sinusoidal", "tied": "all",
             "shared_values": False},
    "pre": {"layers": 1, "norm": "pre", "activation": "gelu", "positions": "learned", "tied": "none",
            "shared_values": True},
    # A matrix for each head, keys and values apart; and one for everything, longer than any sequence.
    "linformer": {"layers": 1, "norm": "post", "activation": "relu", "positions": "learned", "tied": "all",
                  "shared_values": False, "linformer_k": 3, "linformer_share_heads": False},
    "linformer-shared": {"layers": 2, "norm": "pre", "activation": "relu", "positions": "sinusoidal",
                         "tied": "all", "shared_values": False, "linformer_k": 9, "linformer_share_heads": True,
                         "linformer_share_values": True, "linformer_share_layers": True},
}
SOURCE_LENGTHS, TARGET_LENGTHS = [5, 2, 7], [4, 6, 1]  # the end of sentence counted


def linformer_names(case, layer=None):
    """Of E and F, of this layer or of all; none without Linformer."""
    if "linformer_k" not in case:
        return []
    layers = range(case["layers"]) if layer is None else [layer]
    prefixes = [f"model.encoder.layers.{i}.self_attn." for i in layers]
    if case.get("linformer_share_layers"):
        prefixes = ["model.encoder.layers."]
    kinds = ["keys"] if case.get("linformer_share_values") else ["keys", "values"]
    return [f"{prefix}linformer.{kind}" for prefix in prefixes for kind in kinds]


def declare(generator, case):
    """Every parameter, random: biases and gains too, so that no gradient is special."""
    table = {}

    def add(name, *shape, mean=0.0, deviation=0.3):
        value = mean + deviation * torch.randn(*shape, generator=generator, dtype=torch.float64)
        # What the file holds is fp32: the gradients belong to exactly these numbers.
        table[name] = value.float().double().requires_grad_()

    def add_linear(name, rows, columns):
        add(name + ".weight", rows, columns)
        add(name + ".bias", rows)

    def add_norm(name):
        add(name + ".weight", WIDTH, mean=1.0)
        add(name + ".bias", WIDTH)

    if case["tied"] == "all":
        add("model.shared.weight", VOCABULARY, WIDTH)
    else:
        for name in ("model.encoder.embed_tokens", "model.decoder.embed_tokens", "lm_head"):
            add(name + ".weight", VOCABULARY, WIDTH)
    for name in linformer_names(case):
        heads = () if case["linformer_share_heads"] else (HEADS,)
        add(name, *heads, MAX_LENGTH, case["linformer_k"])
    for side in ("encoder", "decoder"):
        if case["positions"] == "learned":
            add(f"model.{side}.embed_positions.weight", MAX_LENGTH, WIDTH)
        if case["norm"] == "pre":
            add_norm(f"model.{side}.layer_norm")
        for i in range(case["layers"]):
            prefix = f"model.{side}.layers.{i}."
            for kind in ("self_attn", "encoder_attn")[: 1 if side == "encoder" else 2]:
                for projection in ("q", "k", "out") if case["shared_values"] else ("q", "k", "v", "out"):
                    add_linear(f"{prefix}{kind}.{projection}_proj", WIDTH, WIDTH)
                add_norm(f"{prefix}{kind}_layer_norm")
            add_linear(prefix + "fc1", FFN, WIDTH)
            add_linear(prefix + "fc2", WIDTH, FFN)
            add_norm(prefix + "final_layer_norm")
    return table


class Network:
    def __init__(self, table, case):
        self.table = table
        self.case = case
        self.pre = case["norm"] == "pre"

    def linear(self, x, name):
        return F.linear(x, self.table[name + ".weight"], self.table[name + ".bias"])

    def norm(self, x, name):
        return F.layer_norm(x, (WIDTH,), self.table[name + ".weight"], self.table[name + ".bias"], 1e-5)

    def residual(self, x, sub_layer, norm):
        if self.pre:
            return x + sub_layer(self.norm(x, norm))
        return self.norm(x + sub_layer(x), norm)

    def attention(self, x, memory, prefix, mask):
        """memory None: the same rows as x."""
        return self.residual(x, lambda y: self.heads(y, y if memory is None else memory, prefix, mask),
                             prefix + "_layer_norm")

    def heads(self, x, memory, prefix, mask):
        def split(y, name):
            y = self.linear(y, f"{prefix}.{name}_proj")
            return y.view(y.shape[0], y.shape[1], HEADS, WIDTH // HEADS).transpose(1, 2)

        q, k = split(x, "q"), split(memory, "k")
        v = k if self.case["shared_values"] else split(memory, "v")
        if "linformer_k" in self.case and ".encoder." in prefix:
            names = linformer_names(self.case, int(prefix.split(".")[3]))
            k, v = self.project(k, names[0], mask), self.project(v, names[-1], mask)
            mask = None
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.linear(mixed.transpose(1, 2).reshape(x.shape), prefix + ".out_proj")

    def project(self, x, name, mask):
        """x (B,H,N,W), mask (B,1,1,N): false at padding -> (B,H,k,W)"""
        x = x * mask.transpose(2, 3)
        matrix = self.table[name][..., :x.shape[2], :]
        return torch.einsum("bhnw,nk->bhkw" if matrix.dim() == 2 else "bhnw,hnk->bhkw", x, matrix)

    def feed_forward(self, x, prefix):
        activate = F.gelu if self.case["activation"] == "gelu" else F.relu

        def sub_layer(y):
            return self.linear(activate(self.linear(y, prefix + "fc1")), prefix + "fc2")

        return self.residual(x, sub_layer, prefix + "final_layer_norm")

    def last(self, x, side):
        return self.norm(x, f"model.{side}.layer_norm") if self.pre else x

    def embed(self, ids, side):
        shared = self.case["tied"] == "all"
        words = self.table["model.shared.weight" if shared else f"model.{side}.embed_tokens.weight"]
        return F.embedding(ids, words) * math.sqrt(WIDTH) + self.positions(ids, side)

    def positions(self, ids, side):
        if self.case["positions"] == "learned":
            return self.table[f"model.{side}.embed_positions.weight"][:ids.shape[1]]
        position = torch.arange(ids.shape[1], dtype=torch.float64)[:, None]
        rate = torch.exp(torch.arange(0, WIDTH, 2, dtype=torch.float64) * (-math.log(10000.0) / WIDTH))
        table = torch.zeros(ids.shape[1], WIDTH, dtype=torch.float64)
        table[:, 0::2] = torch.sin(position * rate)
        table[:, 1::2] = torch.cos(position * rate)
        return table

    def logits(self, source, target):
        seen = (source != PAD)[:, None, None, :]
        x = self.embed(source, "encoder")
        for i in range(self.case["layers"]):
            prefix = f"model.encoder.layers.{i}."
            x = self.feed_forward(self.attention(x, None, prefix + "self_attn", seen), prefix)
        x = self.last(x, "encoder")
        y = self.embed(target, "decoder")
        causal = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).tril()
        for i in range(self.case["layers"]):
            prefix = f"model.decoder.layers.{i}."
            y = self.attention(y, None, prefix + "self_attn", causal)
            y = self.feed_forward(self.attention(y, x, prefix + "encoder_attn", seen), prefix)
        output = "model.shared.weight" if self.case["tied"] == "all" else "lm_head.weight"
        return F.linear(self.last(y, "decoder"), self.table[output])


def draw(lengths, generator):
    return [torch.cat([torch.randint(3, VOCABULARY, (n - 1,), generator=generator), torch.tensor([EOS])])
            for n in lengths]


def padded(rows):
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


def ints(rows):
    return torch.cat(rows).to(torch.int32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--case", required=True, choices=CASES)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    case = CASES[arguments.case]
    generator = torch.Generator().manual_seed(20170612)
    table = declare(generator, case)
    sources, targets = draw(SOURCE_LENGTHS, generator), draw(TARGET_LENGTHS, generator)
    inputs = [torch.cat([torch.tensor([BOS]), t[:-1]]) for t in targets]
    logits = Network(table, case).logits(padded(sources), padded(inputs))
    rows = torch.cat([logits[b, :n] for b, n in enumerate(TARGET_LENGTHS)])
    loss = F.cross_entropy(rows, torch.cat(targets), label_smoothing=SMOOTHING, reduction="mean")
    loss.backward()
    tensors = {name: value.detach().float() for name, value in table.items()}
    tensors |= {"gradient." + name: value.grad.float() for name, value in table.items()}
    tensors |= {
        "batch.source": ints(sources),
        "batch.target_in": ints(inputs), "batch.target_out": ints(targets),
        "batch.source_lengths": torch.tensor(SOURCE_LENGTHS, dtype=torch.int32),
        "batch.target_lengths": torch.tensor(TARGET_LENGTHS, dtype=torch.int32),
        "logits": rows.detach().float().contiguous(),
        "loss": loss.detach().float().reshape(1),
    }
    options = {"encoder_layers": case["layers"], "decoder_layers": case["layers"], "d_model": WIDTH,
               "ffn": FFN, "heads": HEADS, "max_length": MAX_LENGTH, "dropout": 0.0}
    options |= {key: value for key, value in case.items() if key != "layers"}
    metadata = {"peer": f"PyTorch {torch.__version__}", "options": json.dumps(options),
                "vocabulary": str(VOCABULARY), "smoothing": str(SMOOTHING)}
    save_file(tensors, arguments.out, metadata=metadata)


if __name__ == "__main__":
    main()
