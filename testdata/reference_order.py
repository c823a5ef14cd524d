"""Which samples, crops and noise training draws: Philox-4x32-10 and lib/training/order.h, written
for reading."""
import functools
import math

import torch

STAGE = 5  # RANDOM_TRAINING
PERMUTATION, NOISE, TIMESTEP, CROP = range(4)
MASK = 2 ** 32 - 1


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & MASK, a >> 32 ^ c[3] ^ k[1], a & MASK]
        k = [k[0] + 0x9E3779B9 & MASK, k[1] + 0xBB67AE85 & MASK]
    return c


def words(seed, purpose, part, step, block):
    low = block | STAGE << 34 | step << 38
    return philox((low & MASK, low >> 32, part, purpose), (seed & MASK, seed >> 32))


def below(seed, purpose, step, sample, i, bound):
    """A whole number below `bound`."""
    return words(seed, purpose, sample, step, i // 4)[i % 4] * bound >> 32


def normals(seed, purpose, step, part, count):
    """Box and Muller on pairs of words."""
    numbers = []
    for block in range((count + 3) // 4):
        w = words(seed, purpose, part, step, block)
        for u, v in (w[:2], w[2:]):
            radius = math.sqrt(-2 * math.log((u + 0.5) / 2 ** 32))
            angle = 2 * math.pi * v / 2 ** 32
            numbers += [radius * math.cos(angle), radius * math.sin(angle)]
    return torch.tensor(numbers[:count], dtype=torch.float64)


@functools.cache
def permutation(seed, items, epoch):
    """Fisher and Yates."""
    list_ = list(range(items))
    for i in range(items - 1, 0, -1):
        k = below(seed, PERMUTATION, epoch, 0, i, i + 1)
        list_[i], list_[k] = list_[k], list_[i]
    return list_


def item(seed, items, n):
    return permutation(seed, items, n // items)[n % items]
