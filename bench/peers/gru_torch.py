"""Trains a bidirectional GRU encoder and a GRU decoder with additive attention in PyTorch, on random ids: the same
work as `attend bench train --size gru` (sizes, lengths, batches, loss, clipping, Adam), padded as PyTorch needs it.

nn.GRU reads the source, packed; the decoder is a loop over target words, because each step looks at the source with
the state before it. What need not be in the loop is outside: keys, word sums, read-out and output product.

    python bench/peers/gru_torch.py --seconds 30 --threads 1               # gru
    python bench/peers/gru_torch.py --seconds 30 --threads 1 --hidden 256  # gru-small
"""
import argparse
import random
import time

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

p = argparse.ArgumentParser()
p.add_argument("--seconds", type=float, default=30)
p.add_argument("--threads", type=int, default=1)
p.add_argument("--embedding", type=int, default=256)
p.add_argument("--hidden", type=int, default=512)
p.add_argument("--pieces", type=int, default=10000)
p.add_argument("--tokens", type=int, default=4096)
p.add_argument("--dropout", type=float, default=0.3)
p.add_argument("--batches", type=int, default=24)
a = p.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(1)
random.seed(1)
MEAN, LONGEST = 14, 60


def draw_length(mean, deviation):
    return max(3, min(LONGEST, round(random.gauss(mean, deviation))))


def make_batches():
    """Sorted pairs, cut at so many tokens of either side."""
    targets = [draw_length(MEAN, 5) for _ in range(a.batches * a.tokens // MEAN)]
    pairs = sorted((t, draw_length(t, 2)) for t in targets)
    out, current = [], []
    for pair in pairs:
        full = [sum(x[i] for x in current) + pair[i] > a.tokens for i in (0, 1)]
        if any(full):
            out.append(current)
            current = []
        current.append(pair)
    random.shuffle(out)
    return [tensors(b) for b in out[: a.batches]]


def padded(lengths):
    ids = torch.zeros(len(lengths), max(lengths), dtype=torch.long)
    for i, n in enumerate(lengths):
        ids[i, :n] = torch.randint(4, a.pieces, (n,))
    return ids


def tensors(pairs):
    target, source = [t for t, _ in pairs], [s for _, s in pairs]
    return padded(source), torch.tensor(source), padded(target), padded(target), sum(target)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        e, h, v = a.embedding, a.hidden, a.pieces
        self.source, self.target = nn.Embedding(v, e), nn.Embedding(v, e)
        self.encoder = nn.GRU(e, h, batch_first=True, bidirectional=True)
        self.start = nn.Linear(2 * h, h)
        self.word_sums, self.context_sums = nn.Linear(e, 3 * h), nn.Linear(2 * h, 3 * h, bias=False)
        self.state_sums = nn.Linear(h, 3 * h)
        self.query, self.key = nn.Linear(h, h, bias=False), nn.Linear(2 * h, h, bias=False)
        self.v = nn.Linear(h, 1, bias=False)
        self.by_state, self.by_word = nn.Linear(h, 2 * e), nn.Linear(e, 2 * e, bias=False)
        self.by_context = nn.Linear(2 * h, 2 * e, bias=False)
        self.out = nn.Linear(e, v, bias=False)
        self.drop = nn.Dropout(a.dropout)

    def forward(self, source, lengths, target):
        x = pack_padded_sequence(self.drop(self.source(source)), lengths, batch_first=True, enforce_sorted=False)
        packed, last = self.encoder(x)
        memory, _ = pad_packed_sequence(packed, batch_first=True)
        hidden = (torch.arange(memory.shape[1])[None] >= lengths[:, None])
        keys = self.key(memory)
        h = torch.tanh(self.start(torch.cat([last[0], last[1]], 1)))
        words = self.drop(self.target(target))
        sums = self.word_sums(words)
        states, contexts = [], []
        for t in range(target.shape[1]):
            scores = self.v(torch.tanh(self.query(h)[:, None] + keys)).squeeze(2)
            weights = scores.masked_fill(hidden, float("-inf")).softmax(1)
            c = torch.bmm(weights[:, None], memory).squeeze(1)
            x_r, x_z, x_n = (sums[:, t] + self.context_sums(c)).chunk(3, 1)
            h_r, h_z, h_n = self.state_sums(h).chunk(3, 1)
            r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
            n = torch.tanh(x_n + r * h_n)
            h = n + z * (h - n)
            states.append(h)
            contexts.append(c)
        s, c = torch.stack(states, 1), torch.stack(contexts, 1)
        r = self.by_state(s) + self.by_word(words) + self.by_context(c)
        return self.drop(r.view(*r.shape[:2], -1, 2).amax(3))


net = Net()
adam = torch.optim.Adam(net.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9, fused=True)
batches = make_batches()
print(f"torch {torch.__version__}, {a.threads} threads, {sum(q.numel() for q in net.parameters()) / 1e6:.2f} M parameters")


def step(batch):
    source, lengths, t_in, t_out, tokens = batch
    rows = net(source, lengths, t_in)
    real = t_out > 0
    logits = net.out(rows[real])  # only real words meet the large matrix
    loss = F.cross_entropy(logits, t_out[real], label_smoothing=0.1)
    adam.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    adam.step()
    return tokens


for i in range(1):
    step(batches[i % len(batches)])
seen, begin, used, i = 0, time.perf_counter(), time.process_time(), 0
while time.perf_counter() - begin < a.seconds:
    seen += step(batches[i % len(batches)])
    i += 1
spent, used = time.perf_counter() - begin, time.process_time() - used
print(f"gru   float32  {seen / spent:9.0f} target tokens/s  ({i} steps, mean {1e3 * spent / i:.0f} ms, {1e3 * used / i:.0f} ms of CPU time)")
