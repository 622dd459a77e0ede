#!/usr/bin/env python3
"""Writes tests/data/recurrent.safetensors: recurrent layers with outputs and gradients as PyTorch has them.

Peer: PyTorch 2.13.0 (pip install torch==2.13.0 safetensors numpy), torch.nn.GRU, LSTM and RNN on a packed
sequence of unequal lengths, two layers, both directions, with first states, in double precision. The loss is
sum(r * y) over the rows and the last states, with r random.

    tools/golden_recurrent.py --out tests/data/recurrent.safetensors
"""
import argparse

import torch
from safetensors.torch import save_file
from torch.nn.utils.rnn import pack_sequence, unpack_sequence

WIDTH, IN, LAYERS = 5, 3, 2
LENGTHS = [3, 7, 1, 4, 7]
CASES = {
    "gru": lambda: torch.nn.GRU(IN, WIDTH, LAYERS, bidirectional=True),
    "lstm": lambda: torch.nn.LSTM(IN, WIDTH, LAYERS, bidirectional=True),
    "rnn_tanh": lambda: torch.nn.RNN(IN, WIDTH, LAYERS, bidirectional=True),
    "rnn_relu": lambda: torch.nn.RNN(IN, WIDTH, LAYERS, nonlinearity="relu", bidirectional=True),
    "gru_plain": lambda: torch.nn.GRU(IN, WIDTH, 1, bias=False),
    "lstm_plain": lambda: torch.nn.LSTM(IN, WIDTH, 1, bias=False),
}


def random(generator, *shape):
    """What the file holds is fp32: the results belong to exactly these numbers."""
    return torch.randn(*shape, generator=generator, dtype=torch.float64).float().double()


def run(name, generator):
    layer = CASES[name]().double()
    table = {}
    for key, parameter in layer.named_parameters():
        parameter.data = 0.5 * random(generator, *parameter.shape)
        parameter.data = parameter.data.float().double()
        table["rnn." + key] = parameter
    states = layer.num_layers * (2 if layer.bidirectional else 1)
    x = random(generator, sum(LENGTHS), IN).requires_grad_()
    first = [random(generator, states, len(LENGTHS), WIDTH).requires_grad_()]
    if name.startswith("lstm"):
        first.append(random(generator, states, len(LENGTHS), WIDTH).requires_grad_())
    packed = pack_sequence(list(x.split(LENGTHS)), enforce_sorted=False)
    out, last = layer(packed, tuple(first) if len(first) == 2 else first[0])
    rows = torch.cat(unpack_sequence(out))
    last = list(last) if len(first) == 2 else [last]
    loss, weights = 0, {}
    for key, value in [("y", rows)] + [("last_" + n, v) for n, v in zip("hc", last)]:
        weights[key] = random(generator, *value.shape)
        loss = loss + (weights[key] * value).sum()
        table[key] = value
    loss.backward()
    result = {f"{name}.{key}": value for key, value in table.items()}
    result[f"{name}.x"] = x
    for key, value in weights.items():
        result[f"{name}.r.{key}"] = value
    for n, value in zip("hc", first):
        result[f"{name}.first_{n}"] = value
        result[f"{name}.grad.first_{n}"] = value.grad
    result[f"{name}.grad.x"] = x.grad
    for key, parameter in layer.named_parameters():
        result[f"{name}.grad.rnn.{key}"] = parameter.grad
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    generator = torch.Generator().manual_seed(arguments.seed)
    tensors = {}
    for name in CASES:
        tensors.update(run(name, generator))
    tensors = {key: value.detach().float().contiguous() for key, value in tensors.items()}
    save_file(tensors, arguments.out, {"peer": "torch " + torch.__version__, "lengths": str(LENGTHS)})


if __name__ == "__main__":
    main()
