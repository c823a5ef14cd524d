#!/usr/bin/env python3
"""Make the golden of distances between sets of features in testdata/goldens (needs NumPy, SciPy):
the Frechet distance by the formula that pytorch-fid computes, and the kernel inception distance by
sums over pairs. The same file in every run."""
import importlib

import numpy as np
from scipy import linalg

goldens = importlib.import_module("make-goldens-metrics")


def frechet(a, b):
    """As pytorch-fid writes it."""
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    offset = a.mean(0) - b.mean(0)
    root = linalg.sqrtm(cov_a @ cov_b)
    return offset @ offset + np.trace(cov_a) + np.trace(cov_b) - 2 * np.trace(root).real


def pairs(x, y, u, v, same):
    total, weight = 0.0, 0.0
    for i in range(len(x)):
        for j in range(len(y)):
            if not (same and i == j):
                total += u[i] * v[j] * (x[i] @ y[j] / x.shape[1] + 1) ** 3
                weight += u[i] * v[j]
    return total / weight


def kid(a, b, u, v):
    return pairs(a, a, u, u, True) + pairs(b, b, v, v, True) - 2 * pairs(a, b, u, v, False)


random = np.random.default_rng(7)
a = random.normal(size=(150, 24)) @ random.normal(size=(24, 24))
b = random.normal(size=(141, 24)) @ random.normal(size=(24, 24)) + random.normal(size=24)
times_a = np.stack([np.ones(150), random.permutation([1.0] * 40 + [0.0] * 110),
                    random.multinomial(150, np.full(150, 1 / 150)).astype(float)])
times_b = np.stack([np.ones(141), random.permutation([1.0] * 40 + [0.0] * 101),
                    random.multinomial(141, np.full(141, 1 / 141)).astype(float)])
drawn = [np.repeat(x, times[2].astype(int), axis=0) for x, times in ((a, times_a), (b, times_b))]
goldens.save("distances", {
    "in.a": a, "in.b": b, "in.times_a": times_a, "in.times_b": times_b,
    "out.frechet": goldens.scalar(frechet(a, b)),
    "out.frechet_drawn": goldens.scalar(frechet(*drawn)),
    "out.kid": np.array([kid(a, b, u, v) for u, v in zip(times_a, times_b)])})
