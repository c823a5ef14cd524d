#!/usr/bin/env python3
"""Time the Frechet distance of two volumes' slices in PyTorch: a row of pipelines/bench/fid.
pytorch_fid.py channels-last|default WEIGHTS A.npy B.npy"""
import pathlib
import sys
import time

import numpy as np
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "testdata"))
from reference_inception import Inception  # noqa: E402

BATCH = 50


def features_of(network, path):
    volume, made = np.load(path), []
    for first in range(0, len(volume), BATCH):
        slices = torch.from_numpy(volume[first:first + BATCH].astype(np.float32) / 127.5 - 1)
        made.append(network(slices).double())
    return torch.cat(made)


def factor(covariance):
    """F with F^T F = covariance."""
    values, vectors = torch.linalg.eigh(covariance)
    return vectors.T * values.clamp(min=0).sqrt()[:, None]


def distance(a, b):
    offset, cov_a, cov_b = a.mean(0) - b.mean(0), a.T.cov(), b.T.cov()
    root = torch.linalg.svdvals(factor(cov_a) @ factor(cov_b).T).sum()
    return offset @ offset + cov_a.trace() + cov_b.trace() - 2 * root


def peak_mib():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("no VmHWM")


def main(form, weights, *paths):
    start = time.perf_counter()
    network = Inception().eval()
    network.load_state_dict(load_file(weights), strict=False)
    if form == "channels-last":
        network = network.to(memory_format=torch.channels_last)
    features = [features_of(network, path) for path in paths]
    value = distance(*features).item()
    seconds = time.perf_counter() - start
    name = f"PyTorch {torch.__version__.split('+')[0]}, fp32, {form}"
    slices = sum(len(x) for x in features)
    print(f"| {name:36s} | {seconds:8.3f} | {slices / seconds:8.4g} | {peak_mib():8.0f} | {value:.6g} |")


if __name__ == "__main__":
    with torch.inference_mode():
        main(*sys.argv[1:])
