#!/usr/bin/env python3
"""Time one network of the cascade in PyTorch on a GPU: a row of pipelines/bench/gpu's table; or, with
--ceilings, what the device can do at most."""
import argparse
import statistics

import torch

import pytorch


def seconds(call, least=0.5):
    """Median of calls timed by events, after three that warm up."""
    for _ in range(3):
        call()
    times, spent = [], 0
    while not times or spent < least:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) * 1e-3)
        spent += times[-1]
    return statistics.median(times)


def ceilings():
    n = 8192
    a, b = (torch.randn(n, n, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    x = torch.randn(1 << 30, device="cuda")
    y = torch.empty_like(x)
    print(f"- PyTorch {torch.__version__}")
    print(f"- bf16 product of {n}^3, random: {2 * n**3 / seconds(lambda: a @ b) * 1e-12:.0f} TFLOP/s")
    copy = 2 * x.numel() * 4 / seconds(lambda: y.copy_(x))
    print(f"- copy of 4 GiB, read and written: {copy * 1e-9:.0f} GB/s")


def build(name):
    """Channels last in bf16 on the device, with weights that keep the activations' size."""
    network = pytorch.build(name).to(torch.bfloat16).to_empty(device="cuda").eval()
    for key, weight in network.named_parameters():
        if weight.dim() > 1:
            weight.data.normal_(0, weight[0].numel() ** -0.5)
        else:
            weight.data.fill_(1 if key.endswith("weight") else 0)
        if weight.dim() in (4, 5):
            last = torch.channels_last if weight.dim() == 4 else torch.channels_last_3d
            weight.data = weight.data.contiguous(memory_format=last)
    return network


def inputs(name, args):
    made = []
    for shape in pytorch.input_shapes(name, args, 1):
        if len(shape) == 1:
            made.append(torch.full(shape, 500.0, device="cuda"))
            continue
        last = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
        made.append(torch.randn(shape, device="cuda", dtype=torch.bfloat16).contiguous(memory_format=last))
    return made


def row(args):
    pytorch.BATCH = args.batch
    with torch.inference_mode():
        network, given = build(args.network), inputs(args.network, args)
        if args.compiled:
            network = torch.compile(network)
        took = seconds(lambda: network(*given))
    peak = torch.cuda.max_memory_allocated() / 2**20
    print(f"| {args.network}, {args.batch} | {took:.4f} | {peak:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", nargs="?")
    parser.add_argument("--ceilings", action="store_true")
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--latent", type=int, default=64)
    parser.add_argument("--slice", type=int, default=512)
    parser.add_argument("--thumbnail", type=int, default=256)
    args = parser.parse_args()
    ceilings() if args.ceilings else row(args)


if __name__ == "__main__":
    main()
