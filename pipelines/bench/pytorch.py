#!/usr/bin/env python3
"""Time one network of the cascade in PyTorch, as build/bench times it: a row of the table of
pipelines/bench/run. The networks are those of testdata/reference_networks.py at full size, with
PyTorch's fresh weights; in evaluation mode, channels last, without gradients."""
import argparse
import pathlib
import sys
import time

import torch
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "testdata"))
import reference_networks as reference  # noqa: E402

CODES, LATENT, SLICE, WINDOW, BATCH = 16384, 64, 512, 5, 8


class Codes(nn.Module):
    """Nearest codes as the authors search them: |z|^2 + |e|^2 - 2ze, here in parts of the map."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(CODES, 4)

    def forward(self, z):
        pixels = z.movedim(1, -1)
        codes = self.embedding.weight
        nearest = [(codes.square().sum(1) - 2 * part @ codes.T).argmin(1)
                   for part in pixels.reshape(-1, 4).float().split(4096)]
        return self.embedding(torch.cat(nearest)).reshape(pixels.shape).movedim(-1, 1)


class LatentSR(nn.Sequential):
    def __init__(self):
        super().__init__(Codes(), nn.Conv3d(4, 4, 1), reference.SR3D(), nn.Conv3d(4, 4, 1))


def decoder(adaptors):
    return nn.Sequential(Codes(), nn.Conv2d(4, 4, 1), reference.Decoder2D(adaptors=adaptors))


def make(name, thumbnail):
    """The network and its inputs."""
    timestep = torch.full((1,), 500.0)
    if name == "diffusion3d":
        network = reference.UNet(3, 128, (1, 2, 4, 8), (4, 8), 4)
        return network, (torch.randn(1, 4, LATENT, LATENT, LATENT), timestep)
    if name == "refiner":
        network = reference.UNet(2, 192, (1, 2, 4, 4), (2, 4, 8), 8)
        return network, (torch.randn(BATCH, 8, LATENT, LATENT), timestep.expand(BATCH))
    if name == "multislice":
        return decoder(True), (torch.randn(WINDOW, 4, LATENT, LATENT),)
    if name == "decoder2d":
        return decoder(False), (torch.randn(1, 4, LATENT, LATENT),)
    if name == "encoder2d":
        network = nn.Sequential(reference.Encoder2D(), nn.Conv2d(4, 4, 1))
        return network, (torch.randn(1, 1, SLICE, SLICE),)
    if name == "encoder3d":
        network = nn.Sequential(reference.Encoder3D(), nn.Conv3d(4, 4, 1))
        return network, (torch.randn(1, 1, thumbnail, thumbnail, thumbnail),)
    if name == "latent-sr":
        return LatentSR(), (torch.randn(1, 4, LATENT, LATENT, LATENT),)
    sys.exit(f"pytorch.py: {name} is no network")


def channels_last(tensor):
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    if tensor.dim() not in formats:
        return tensor
    return tensor.contiguous(memory_format=formats[tensor.dim()])


def measure(network, inputs, repetitions, budget_seconds):
    """Seconds of the fastest call after a first one."""
    network(*inputs)
    times = []
    while len(times) < repetitions if repetitions else not times or sum(times) < budget_seconds:
        start = time.perf_counter()
        network(*inputs)
        times.append(time.perf_counter() - start)
    return min(times)


def peak_mib():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--thumbnail", type=int, default=128)
    parser.add_argument("--repetitions", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--tflop", type=float, default=0, help="of a call")
    parser.add_argument("--octpipe", type=float, default=0, help="octpipe's seconds")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    network, inputs = make(args.network, args.thumbnail)
    network = network.eval()
    for tensor in (*network.parameters(), *network.buffers()):
        tensor.data = channels_last(tensor.data)
    inputs = [channels_last(tensor) for tensor in inputs]
    with torch.inference_mode(), \
            torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.precision == "bf16"):
        seconds = measure(network, inputs, args.repetitions, args.seconds)
    print(f"| {args.network:11} | {args.precision:9} | {seconds:8.3f} "
          f"| {args.tflop * 1e3 / seconds:7.1f} | {peak_mib():8.0f} "
          f"| {seconds / args.octpipe if args.octpipe else float('nan'):7.2f} |", flush=True)


if __name__ == "__main__":
    main()
