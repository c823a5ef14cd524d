#!/usr/bin/env python3
"""Make the golden of Inception's features in testdata/goldens (needs torch), in float64, stored as
float32, the same file in every run; or with WEIGHTS A.npy B.npy (u1, one volume each) print the
Frechet distance of their slices as float32 features at full width give it (needs safetensors):
octmetrics fid --plane intra -w WEIGHTS A.npy B.npy."""
import importlib
import sys

import numpy as np
import torch
from torch import nn

from reference_inception import Inception

WIDTH = 2


def randomize(network):
    """What a ReLU halves is doubled, so that features stay of order 1; statistics that matter."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1, 0.1)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network.eval()


def striped(h, w):
    """Made again by the test: fine enough that a filter before resizing would show."""
    y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    return ((3 * x + 5 * y) % 97 / 48 - 1).float()[None]


def make():
    goldens = importlib.import_module("make-goldens")
    goldens.seed("inception")
    network = randomize(Inception(WIDTH))
    weights = {f"weights.{name}": value for name, value in network.state_dict().items()
               if "num_batches" not in name}
    small = torch.rand(2, 37, 52) * 2 - 1
    network.double()
    goldens.save("inception", weights | {
        "in.small": small, "out.small": network(small.double()),
        "out.striped": network(striped(331, 307).double())}, width=WIDTH)


def read(path):
    with open(path, "rb") as file:
        volume = np.load(file)
    return torch.from_numpy(volume.astype(np.float32) / 127.5 - 1)


def compare(weights, *paths):
    from safetensors.torch import load_file
    network = Inception().eval()
    missing, _ = network.load_state_dict(load_file(weights), strict=False)
    assert all("num_batches" in name for name in missing), missing
    features = [network(read(path)).double().numpy() for path in paths]
    a, b = (x - x.mean(0) for x in features)
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum() / np.sqrt((len(a) - 1) * (len(b) - 1))
    offset = features[0].mean(0) - features[1].mean(0)
    print(offset @ offset + (a**2).sum() / (len(a) - 1) + (b**2).sum() / (len(b) - 1) - 2 * root)


if __name__ == "__main__":
    with torch.no_grad():
        compare(*sys.argv[1:]) if len(sys.argv) > 1 else make()
