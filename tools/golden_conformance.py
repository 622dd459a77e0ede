#!/usr/bin/env python3
"""Operator cases of our own for build/attend-conformance, in the layout of ONNX's (tests/conformance/README.md).

Expected values are computed in float64 by numpy 2 from the formulas of ONNX's operator specification; no numbers of
ONNX's own cases are copied.

    tools/golden_conformance.py tests/data/conformance            # the cases of the test
    tools/golden_conformance.py FOLDER --many 500 --seed 7        # random ones, to look for what those miss
"""
import argparse
import json
import math
import os
import struct

import numpy as np

INF = np.inf


def bf16_bits(x):
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def rounded(x, kind):
    """Numbers as the type stores them, in float64."""
    if kind == "BF16":
        return (bf16_bits(x).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    return np.asarray(x).astype({"F16": np.float16, "F32": np.float32}[kind]).astype(np.float64)


def encode(x, kind):
    if kind == "BF16":
        return bf16_bits(x).tobytes()
    kinds = {"F16": np.float16, "F32": np.float32, "I64": np.int64, "BOOL": np.bool_}
    return np.ascontiguousarray(x, kinds[kind]).tobytes()


class Case:
    """One file: arrays with their types, in order; a None is an input or output left out."""

    def __init__(self, op, opset, attributes):
        self.op, self.opset, self.attributes = op, opset, attributes
        self.arrays = {"in": [], "out": []}

    def add(self, side, x, kind="F32"):
        self.arrays[side].append(None if x is None else (np.asarray(x), kind))

    def write(self, path):
        header, data = {}, b""
        for side, arrays in self.arrays.items():
            for i, array in enumerate(arrays):
                if array is None:
                    continue
                x, kind = array
                raw = encode(x, kind)
                header[f"{side}.{i}"] = {"dtype": kind, "shape": list(x.shape),
                                         "data_offsets": [len(data), len(data) + len(raw)]}
                data += raw
        names = {side: json.dumps(["" if a is None else f"{side}{i}" for i, a in enumerate(arrays)])
                 for side, arrays in self.arrays.items()}
        header["__metadata__"] = {"op": self.op, "opset": str(self.opset), "rtol": "0.001", "atol": "1e-07",
                                  "attributes": json.dumps(self.attributes, sort_keys=True),
                                  "inputs": names["in"], "outputs": names["out"]}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(path, "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text + data)


def softmax(x, axis=-1):
    top = x.max(axis, keepdims=True)
    e = np.exp(x - np.where(np.isinf(top), 0, top))
    total = e.sum(axis, keepdims=True)
    return e / np.where(total == 0, 1, total)


def log_softmax(x, axis):
    top = x.max(axis, keepdims=True)
    return x - top - np.log(np.exp(x - top).sum(axis, keepdims=True))


def visible(a, batch, queries, total, past, lengths):
    """(B, 1, T, S): what causality, windows and lengths leave."""
    own = np.full(batch, past)
    if lengths is not None and not a.get("past"):
        own = lengths - queries
    t = own[:, None, None] + np.arange(queries)[None, :, None]
    s = np.arange(total)[None, None, :]
    seen = np.ones((batch, queries, total), bool)
    if a.get("is_causal"):
        seen &= s <= t
    if a.get("left_window_size", -1) >= 0:
        seen &= s >= t - a["left_window_size"]
    if a.get("right_window_size", -1) >= 0:
        seen &= s <= t + a["right_window_size"]
    if lengths is not None:
        seen &= s < lengths[:, None, None]
    return seen[:, None]


def attention(name, rng, flat, sizes, attributes=(), mask=None, past=0, lengths=None, stage=None, kind="F32",
              normal=False):
    """sizes: B, q heads, kv heads, T, S, key width, value width. mask: (shape, boolean)."""
    b, hq, hk, t, s, d, w = sizes
    a = dict(attributes)
    draw = rng.standard_normal if normal else rng.random
    q, k, v = (rounded(draw(shape), kind) for shape in ((b, hq, t, d), (b, hk, s, d), (b, hk, s, w)))
    old_k, old_v = (rounded(draw((b, hk, past, n)), kind) for n in (d, w))
    opset = 25 if "left_window_size" in a or "right_window_size" in a else 24
    case = Case("Attention", opset, {x: y for x, y in a.items()})
    if flat:
        case.attributes.update(q_num_heads=hq, kv_num_heads=hk)
    if stage is not None:
        case.attributes["qk_matmul_output_mode"] = stage
    layout = (lambda x: x.transpose(0, 2, 1, 3).reshape(b, x.shape[2], -1)) if flat else (lambda x: x)
    for x in (q, k, v):
        case.add("in", layout(x), kind)
    total = s + past
    bias = np.zeros((1, 1, 1, total))
    if mask:
        shape, boolean = mask
        m = rng.random(shape) < 0.7 if boolean else rounded(rng.standard_normal(shape), kind)
        if not boolean and rng.random() < 0.5:
            m = np.where(rng.random(shape) < 0.2, -INF, m)
        case.add("in", m, "BOOL" if boolean else kind)
        m = np.where(m, 0, -INF) if boolean else m
        m = m.reshape((1,) * (4 - m.ndim) + m.shape)
        bias = np.concatenate([m, np.full(m.shape[:3] + (total - m.shape[3],), -INF)], 3)
    elif past or lengths is not None:
        case.add("in", None)
    if past:
        case.add("in", old_k, kind)
        case.add("in", old_v, kind)
        a["past"] = past
    elif lengths is not None:
        case.add("in", None)
        case.add("in", None)
    if lengths is not None:
        lengths = np.asarray(lengths)
        case.add("in", lengths, "I64")
    k, v = np.concatenate([old_k, k], 2), np.concatenate([old_v, v], 2)
    scale = a.get("scale", 1 / math.sqrt(d))
    product = np.einsum("bhtd,bhsd->bhts", q, np.repeat(k, hq // hk, 1)) * scale
    cap = a.get("softcap", 0)
    capped = cap * np.tanh(product / cap) if cap else product
    scores = np.where(visible(a, b, t, total, past, lengths), capped + bias, -INF)
    weights = softmax(scores)
    case.add("out", layout(np.einsum("bhts,bhsw->bhtw", weights, np.repeat(v, hq // hk, 1))), kind)
    case.add("out", k if past else None, kind)
    case.add("out", v if past else None, kind)
    if stage is not None:
        case.add("out", (product, capped, scores, weights)[stage], kind)
    return name, case


def norm(name, rng, shape, axis, centred, eps=1e-5, small=False, bias=True):
    x = rng.standard_normal(shape).astype(np.float32)
    first = axis % len(shape)
    inner = shape[first:]
    gain = rng.standard_normal(inner[-1:] if small else inner).astype(np.float32)
    case = Case("LayerNormalization" if centred else "RMSNormalization", 17 if centred else 23,
                {"axis": axis, "epsilon": eps})
    case.add("in", x)
    case.add("in", gain)
    axes = tuple(range(first, len(shape)))
    y = x.astype(np.float64)
    mean = y.mean(axes, keepdims=True) if centred else 0
    deviation = 1 / np.sqrt(((y - mean) ** 2).mean(axes, keepdims=True) + eps)
    y = (y - mean) * deviation * gain
    if centred and bias:
        case.add("in", rng.standard_normal(inner).astype(np.float32))
        y = y + case.arrays["in"][2][0]
    case.add("out", y)
    if centred:
        case.add("out", mean)
        case.add("out", deviation)
    return name, case


def rotary(name, rng, flat, sizes, width=0, interleaved=0, ids=True):
    b, h, s, d = sizes
    x, turning = rng.standard_normal((b, h, s, d)).astype(np.float32), width or d
    rows = (11,) if ids else (b, s)
    angles = rng.random(rows + (turning // 2,)) * 6
    cosines, sines = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    case = Case("RotaryEmbedding", 23, {"interleaved": interleaved})
    if width:
        case.attributes["rotary_embedding_dim"] = width
    if flat:
        case.attributes["num_heads"] = h
    layout = (lambda y: y.transpose(0, 2, 1, 3).reshape(b, s, h * d)) if flat else (lambda y: y)
    case.add("in", layout(x))
    case.add("in", cosines)
    case.add("in", sines)
    c, z = cosines, sines
    if ids:
        places = rng.integers(0, 11, (b, s))
        case.add("in", places, "I64")
        c, z = cosines[places], sines[places]
    c, z, y = c[:, None].astype(np.float64), z[:, None], x.astype(np.float64)
    one, two = (slice(0, turning, 2), slice(1, turning, 2)) if interleaved else (
        slice(0, turning // 2), slice(turning // 2, turning))
    y[..., one], y[..., two] = (c * x[..., one] - z * x[..., two], z * x[..., one] + c * x[..., two])
    case.add("out", layout(y))
    return name, case


def over_axis(name, rng, op, shape, axis, spread=3.0):
    x = (spread * rng.standard_normal(shape)).astype(np.float32)
    case = Case(op, 13, {"axis": axis})
    case.add("in", x)
    case.add("out", (softmax if op == "Softmax" else log_softmax)(x.astype(np.float64), axis))
    return name, case


def gelu(name, rng, shape, approximate):
    x = (2 * rng.standard_normal(shape)).astype(np.float32)
    y = x.astype(np.float64)
    below = np.vectorize(lambda z: 0.5 * (1 + math.erf(z / math.sqrt(2))))(y)
    if approximate == "tanh":
        below = 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (y + 0.044715 * y ** 3)))
    case = Case("Gelu", 20, {"approximate": approximate})
    case.add("in", x)
    case.add("out", y * below)
    return name, case


def cross_entropy(name, rng, shape, reduction, weighted=False, ignore=None, log_prob=False):
    x = (2 * rng.standard_normal(shape)).astype(np.float32)
    classes = shape[1]
    y = rng.integers(0, classes, shape[:1] + shape[2:])
    w = rng.random(classes).astype(np.float32)
    case = Case("SoftmaxCrossEntropyLoss", 13, {"reduction": reduction})
    counts = np.ones(y.shape)
    if ignore is not None:
        case.attributes["ignore_index"] = ignore
        y = np.where(rng.random(y.shape) < 0.3, ignore, y)
        counts = (y != ignore).astype(float)
    case.add("in", x)
    case.add("in", y, "I64")
    if weighted:
        case.add("in", w)
    p = log_softmax(x.astype(np.float64), 1)
    index = np.where(counts > 0, y, 0)
    if weighted:
        counts = counts * w[index]
    losses = -np.take_along_axis(p, index[:, None], 1)[:, 0] * counts
    z = {"none": losses, "sum": losses.sum(), "mean": losses.sum() / counts.sum()}[reduction]
    case.add("out", z if reduction == "none" else np.reshape(z, (1,)))
    if log_prob:
        case.add("out", p)
    return name, case


FUNCTIONS = {
    "Affine": lambda x, a, b: a * x + b, "Elu": lambda x, a, b: np.where(x > 0, x, a * np.expm1(x)),
    "HardSigmoid": lambda x, a, b: np.clip(a * x + b, 0, 1), "LeakyRelu": lambda x, a, b: np.where(x > 0, x, a * x),
    "Relu": lambda x, a, b: np.maximum(x, 0), "ScaledTanh": lambda x, a, b: a * np.tanh(b * x),
    "Sigmoid": lambda x, a, b: 1 / (1 + np.exp(-x)), "Softplus": lambda x, a, b: np.log1p(np.exp(x)),
    "Softsign": lambda x, a, b: x / (1 + abs(x)), "Tanh": lambda x, a, b: np.tanh(x),
    "ThresholdedRelu": lambda x, a, b: np.where(x > a, x, 0),
}
TAKES = {"Affine": (1, 0), "Elu": (1, None), "HardSigmoid": (0.2, 0.5), "LeakyRelu": (0.01, None),
         "ScaledTanh": (1, 1), "ThresholdedRelu": (1, None)}  # usual alpha and beta


def gate_functions(a, op, directions):
    """A list of functions for each direction; alphas and betas are consumed by those that take one."""
    usual = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}[op]
    names = a.get("activations", usual * directions)
    values = [list(a.get("activation_alpha", [])), list(a.get("activation_beta", []))]
    made = []
    for name in names:
        own = [None if usual is None else values[i].pop(0) if values[i] else usual
               for i, usual in enumerate(TAKES.get(name, (None, None)))]
        made.append(lambda x, name=name, own=own: FUNCTIONS[name](x, *own))
    each = len(usual)
    return [made[i * each:(i + 1) * each] for i in range(directions)]


def cell_step(op, a, x, h, c, w, r, b, p, f):
    """One step of one sequence; w, r, b by ONNX's order of gates (GRU z r h, LSTM i o f c)."""
    clip = a.get("clip", 0)
    held = (lambda y: np.clip(y, -clip, clip)) if clip else (lambda y: y)
    d = h.shape[0]
    from_x, wb, rb = w @ x, b[:len(w)], b[len(w):]
    part = lambda y, i: y[i * d:(i + 1) * d]  # noqa: E731
    from_h = r @ h
    if op == "RNN":
        return f[0](held(from_x + from_h + wb + rb)), c
    both = from_x + from_h + wb + rb
    if op == "GRU":
        z, reset = f[0](held(part(both, 0))), f[0](held(part(both, 1)))
        if a.get("linear_before_reset"):
            new = part(from_x + wb, 2) + reset * part(from_h + rb, 2)
        else:
            new = part(from_x + wb + rb, 2) + part(r, 2) @ (reset * h)
        return (1 - z) * f[1](held(new)) + z * h, c
    i = f[0](held(part(both, 0) + part(p, 0) * c))
    forget = 1 - i if a.get("input_forget") else f[0](held(part(both, 2) + part(p, 2) * c))
    c = forget * c + i * f[1](held(part(both, 3)))
    return f[0](held(part(both, 1) + part(p, 1) * c)) * f[2](held(c)), c


def recurrent(name, rng, op, sizes, attributes=(), given=()):
    """sizes: steps, batch, input width, hidden width; given: those of B, lens, h, c, P that there are."""
    steps, batch, width, d = sizes
    a = dict(attributes)
    directions = 2 if a.get("direction") == "bidirectional" else 1
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    draw = lambda *shape: rng.standard_normal(shape).astype(np.float32) * np.float32(0.5)  # noqa: E731
    x, w, r = draw(steps, batch, width), draw(directions, gates * d, width), draw(directions, gates * d, d)
    b = draw(directions, 2 * gates * d) if "B" in given else np.zeros((directions, 2 * gates * d))
    p = draw(directions, 3 * d) if "P" in given else np.zeros((directions, 3 * d))
    lens = rng.integers(1, steps + 1, batch) if "lens" in given else np.full(batch, steps)
    first = {n: draw(directions, batch, d) if n in given else np.zeros((directions, batch, d)) for n in "hc"}
    y, last_h, last_c = np.zeros((steps, directions, batch, d)), *(np.array(first[n], float) for n in "hc")
    functions = gate_functions(a, op, directions)
    for n in range(directions):
        for i in range(batch):
            order = list(range(lens[i]))
            if n == 1 or a.get("direction") == "reverse":
                order.reverse()
            for t in order:
                last_h[n, i], last_c[n, i] = cell_step(op, a, x[t, i].astype(float), last_h[n, i], last_c[n, i],
                                                       w[n], r[n], b[n], p[n], functions[n])
                y[t, n, i] = last_h[n, i]
    case = Case(op, 22, dict(a, hidden_size=d))
    turned = a.get("layout", 0) == 1
    state = (lambda s: s.transpose(1, 0, 2)) if turned else (lambda s: s)
    inputs = [(x.transpose(1, 0, 2) if turned else x, True), (w, True), (r, True), (b, "B" in given),
              (lens.astype(np.int64), "lens" in given), (state(first["h"]), "h" in given)]
    if op == "LSTM":
        inputs += [(state(first["c"]), "c" in given), (p, "P" in given)]
    for i, (array, there) in enumerate(inputs):
        case.add("in", array if there else None, "I64" if i == 4 else "F32")
    case.add("out", y.transpose(2, 0, 1, 3) if turned else y)
    case.add("out", state(last_h))
    if op == "LSTM":
        case.add("out", state(last_c))
    return name, case


def chosen(rng):
    """One of each thing that can go wrong."""
    yield attention("attention_3d_grouped_causal", rng, True, (2, 4, 2, 5, 5, 8, 6), {"is_causal": 1})
    yield attention("attention_4d_normal_scale", rng, False, (1, 2, 2, 3, 7, 5, 3), {"scale": 0.7}, normal=True)
    yield attention("attention_past_causal_softcap", rng, False, (2, 2, 1, 3, 2, 4, 5),
                    {"is_causal": 1, "softcap": 0.8}, past=4)
    yield attention("attention_mask_rank1_short", rng, True, (1, 2, 2, 3, 6, 4, 4), mask=((4,), True))
    yield attention("attention_mask_rank2_added_past", rng, False, (2, 2, 2, 3, 3, 4, 4), mask=((3, 5), False), past=2)
    yield attention("attention_mask_rank3_heads", rng, False, (2, 3, 3, 4, 5, 4, 4), mask=((3, 1, 5), False))
    yield attention("attention_mask_rank4_batch", rng, True, (2, 2, 2, 3, 5, 4, 4), mask=((2, 1, 3, 5), True))
    yield attention("attention_lengths_window", rng, False, (3, 2, 2, 2, 7, 4, 4),
                    {"is_causal": 1, "left_window_size": 2}, lengths=[3, 7, 1])
    yield attention("attention_window_both_sides", rng, False, (1, 2, 2, 6, 6, 4, 4),
                    {"left_window_size": 1, "right_window_size": 2})
    yield attention("attention_bf16", rng, False, (1, 2, 2, 4, 6, 8, 8), {"is_causal": 1}, kind="BF16")
    yield attention("attention_fp16_mask", rng, True, (1, 2, 2, 4, 6, 8, 8), mask=((4, 6), False), kind="F16")
    for stage in range(4):
        yield attention(f"attention_stage_{stage}", rng, False, (2, 4, 2, 3, 5, 4, 4),
                        {"softcap": 1.5, "is_causal": 1}, mask=((2, 1, 3, 5), False), stage=stage)
    yield attention("attention_stage_3_lengths", rng, False, (2, 2, 2, 3, 5, 4, 4), lengths=[2, 4], stage=3)
    yield norm("layer_norm_axis_1", rng, (2, 3, 5), 1, True)
    yield norm("layer_norm_no_bias", rng, (3, 7), -1, True, 0.1, bias=False)
    yield norm("rms_norm_axis_negative_2", rng, (2, 3, 4, 5), -2, False, 1e-3)
    yield norm("rms_norm_small_gain", rng, (2, 3, 5), 1, False, small=True)
    yield rotary("rotary_3d", rng, True, (2, 3, 4, 8))
    yield rotary("rotary_interleaved_part", rng, False, (2, 3, 4, 7), width=4, interleaved=1)
    yield rotary("rotary_own_tables", rng, False, (2, 3, 4, 6), ids=False)
    yield over_axis("softmax_axis_0", rng, "Softmax", (4, 3, 2), 0)
    yield over_axis("log_softmax_far", rng, "LogSoftmax", (2, 5, 3), 1, spread=1000)
    yield gelu("gelu_exact", rng, (3, 5), "none")
    yield gelu("gelu_tanh", rng, (2, 2, 5), "tanh")
    yield cross_entropy("loss_mean_weighted_ignored", rng, (4, 5, 3), "mean", weighted=True, ignore=-1)
    yield cross_entropy("loss_none_log_prob", rng, (3, 4, 2, 2), "none", ignore=2, log_prob=True)
    yield cross_entropy("loss_sum", rng, (6, 5), "sum", weighted=True)
    yield recurrent("rnn_both_ways", rng, "RNN", (4, 2, 3, 5), {"direction": "bidirectional"}, ("B", "lens", "h"))
    yield recurrent("rnn_functions", rng, "RNN", (3, 2, 3, 4),
                    {"direction": "bidirectional", "activations": ["Affine", "LeakyRelu"],
                     "activation_alpha": [0.5, 0.25], "activation_beta": [0.125]}, ("B",))
    yield recurrent("gru_reset_before", rng, "GRU", (4, 3, 2, 5), {"layout": 1}, ("B", "lens", "h"))
    yield recurrent("gru_reset_after_reverse", rng, "GRU", (4, 3, 2, 5),
                    {"direction": "reverse", "linear_before_reset": 1, "clip": 0.5}, ("B", "lens"))
    yield recurrent("lstm_peepholes", rng, "LSTM", (4, 3, 2, 5), {"direction": "bidirectional"},
                    ("B", "lens", "h", "c", "P"))
    yield recurrent("lstm_coupled_functions", rng, "LSTM", (3, 2, 2, 4),
                    {"layout": 1, "input_forget": 1, "clip": 1.5, "activations": ["HardSigmoid", "Softsign", "Elu"]})


def random_attention(name, rng):
    b, hk, t, s = (int(rng.integers(1, n)) for n in (4, 4, 8, 10))
    hq = hk * int(rng.integers(1, 4))
    d, w = (int(rng.integers(1, 20)) for _ in range(2))
    kind = str(rng.choice(["F32", "F32", "F32", "F16", "BF16"]))
    a, past, lengths, mask, stage = {}, 0, None, None, None
    if rng.random() < 0.4:
        a["is_causal"] = 1
    if rng.random() < 0.3:
        a["softcap"] = float(np.float32(0.3 + 3 * rng.random()))
    if rng.random() < 0.3:
        a["scale"] = float(np.float32(rng.random()))
    if rng.random() < 0.3:
        a["left_window_size"] = int(rng.integers(-1, 5))
    if rng.random() < 0.2:
        a["right_window_size"] = int(rng.integers(-1, 5))
    if rng.random() < 0.3:
        past = int(rng.integers(1, 6))
    elif rng.random() < 0.4:
        lengths = rng.integers(0, s + 1, b)
    if rng.random() < 0.6:
        wide = s + past - int(rng.integers(0, s + past)) * int(rng.random() < 0.2)
        full = [b, hq, t, wide]
        shape = [n if rng.random() < 0.7 else 1 for n in full[:3]] + [wide]
        mask = (tuple(shape[4 - int(rng.integers(1, 5)):]), rng.random() < 0.5)
    if rng.random() < 0.4:
        stage = int(rng.integers(0, 4))
    return attention(name, rng, rng.random() < 0.5, (b, hq, hk, t, s, d, w), a, mask, past, lengths, stage, kind)


def random_recurrent(name, rng):
    op = str(rng.choice(["RNN", "GRU", "LSTM"]))
    a = {"direction": str(rng.choice(["forward", "reverse", "bidirectional"])), "layout": int(rng.integers(0, 2))}
    if rng.random() < 0.3:
        a["clip"] = float(np.float32(rng.random() + 0.1))
    if op == "GRU":
        a["linear_before_reset"] = int(rng.integers(0, 2))
    if op == "LSTM" and rng.random() < 0.3:
        a["input_forget"] = 1
    if rng.random() < 0.5:
        count = {"RNN": 1, "GRU": 2, "LSTM": 3}[op] * (1 + (a["direction"] == "bidirectional"))
        a["activations"] = [str(n) for n in rng.choice(sorted(FUNCTIONS), count)]
        if rng.random() < 0.5:
            a["activation_alpha"] = [float(np.float32(x)) for x in rng.random(int(rng.integers(1, count + 1)))]
    given = [n for n in ("B", "lens", "h", "c", "P") if rng.random() < 0.5]
    made = recurrent(name, rng, op, tuple(int(n) for n in rng.integers(1, 7, 4)), a, given)
    tame = all(np.abs(array[0]).max() < 1e3 for array in made[1].arrays["out"])  # functions that run away
    return made if tame else random_recurrent(name, rng)


def random_case(name, rng):
    pick = rng.random()
    if pick < 0.25:
        return random_recurrent(name, rng)
    pick = (pick - 0.25) / 0.75
    shape = tuple(int(n) for n in rng.integers(1, 7, int(rng.integers(2, 5))))
    axis = int(rng.integers(-len(shape), len(shape)))
    if pick < 0.6:
        return random_attention(name, rng)
    if pick < 0.7:
        return norm(name, rng, shape, axis, rng.random() < 0.5, float(rng.choice([0.1, 0.01])))
    if pick < 0.8:
        b, h, s, d = (int(n) for n in rng.integers(1, 6, 4))
        return rotary(name, rng, rng.random() < 0.5, (b, h, s, 2 * d), int(rng.integers(0, d)) * 2,
                      int(rng.random() < 0.5), rng.random() < 0.5)
    if pick < 0.9:
        return over_axis(name, rng, str(rng.choice(["Softmax", "LogSoftmax"])), shape, axis)
    return cross_entropy(name, rng, shape, str(rng.choice(["none", "sum", "mean"])), rng.random() < 0.5,
                         int(rng.integers(-3, 9)) if shape[0] > 3 else None, rng.random() < 0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--many", type=int, default=0, help="this many random cases instead of the chosen ones")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    os.makedirs(options.folder, exist_ok=True)
    cases = (random_case(f"random_{i}", rng) for i in range(options.many)) if options.many else chosen(rng)
    for name, case in cases:
        case.write(os.path.join(options.folder, name + ".safetensors"))


if __name__ == "__main__":
    main()
