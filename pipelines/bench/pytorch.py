#!/usr/bin/env python3
"""Time one network of the cascade in PyTorch, as build/bench times it: a row of a table of
pipelines/bench/run. The networks are those of testdata/reference_networks.py at full size.

The row is measured in a process of its own, so that its peak memory is that network's and a network
that does not fit takes down nothing else. Which form is the fastest (memory format; for bf16
autocast or a network of bf16) is found out before, in another process, on maps of half the
extents."""
import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import time

CODES, WINDOW, BATCH = 16384, 5, 8
FORMS = {"fp32": ("channels last", "default format"),
         "bf16": ("autocast, channels last", "autocast, default format",
                  "model, channels last", "model, default format")}
TIMEOUT_SECONDS = 1200


def explain(version, repetitions):
    return f"""## PyTorch {version}

The same networks: testdata/reference_networks.py with random weights, eager, inference mode, on
all cores; one call on maps of half the extents, then {repetitions} timed at full extents, of which
the best counts. 'form' is the fastest of those tried on maps of half the extents: channels last or
PyTorch's default format, and for bf16 autocast or a network whose weights and activations are bf16.
Peak is VmHWM of the row's own process in MiB, weights included; importing PyTorch takes
{import_mib():.0f} MiB of it. The last columns are these seconds and peaks over octpipe's in the
table of networks above.

| network     | precision | form                     |  seconds | GFLOP/s | peak MiB | x time | x peak |
|-------------|-----------|--------------------------|---------:|--------:|---------:|-------:|-------:|"""


def peak_mib():
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return math.nan


def import_mib():
    import torch  # noqa: F401
    return peak_mib()


# --- In the measuring process --------------------------------------------------------------------

def build(name):
    """A network without memory for its weights."""
    import torch
    from torch import nn
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "testdata"))
    import reference_networks as reference

    class Codes(nn.Module):
        """Nearest codes as the authors search them: |e|^2 - 2ze, here in parts of the map."""

        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(CODES, 4)

        def forward(self, z):
            pixels = z.movedim(1, -1)
            codes = self.embedding.weight
            nearest = [(codes.square().sum(1) - 2 * part @ codes.T).argmin(1)
                       for part in pixels.reshape(-1, 4).split(4096)]
            return self.embedding(torch.cat(nearest)).reshape(pixels.shape).movedim(-1, 1)

    with torch.device("meta"):
        if name == "diffusion3d":
            return reference.UNet(3, 128, (1, 2, 4, 8), (4, 8), 4)
        if name == "refiner":
            return reference.UNet(2, 192, (1, 2, 4, 4), (2, 4, 8), 8)
        if name in ("multislice", "decoder2d"):
            return nn.Sequential(Codes(), nn.Conv2d(4, 4, 1),
                                 reference.Decoder2D(adaptors=name == "multislice"))
        if name == "encoder2d":
            return nn.Sequential(reference.Encoder2D(), nn.Conv2d(4, 4, 1))
        if name == "encoder3d":
            return nn.Sequential(reference.Encoder3D(), nn.Conv3d(4, 4, 1))
        if name == "latent-sr":
            return nn.Sequential(Codes(), nn.Conv3d(4, 4, 1), reference.SR3D(), nn.Conv3d(4, 4, 1))
    sys.exit(f"{name} is no network")


def input_shapes(name, args, divisor):
    """Of the network's inputs; (batch,) for timesteps."""
    latent, image, thumbnail = (n // divisor for n in (args.latent, args.slice, args.thumbnail))
    return {"diffusion3d": [(1, 4) + 3 * (latent,), (1,)],
            "refiner": [(BATCH, 8) + 2 * (latent,), (BATCH,)],
            "multislice": [(WINDOW, 4) + 2 * (latent,)],
            "decoder2d": [(1, 4) + 2 * (latent,)],
            "encoder2d": [(1, 1) + 2 * (image,)],
            "encoder3d": [(1, 1) + 3 * (thumbnail,)],
            "latent-sr": [(1, 4) + 3 * (latent,)]}[name]


def empty(shape, dtype, last):
    """A tensor in the wanted memory format from the start, so that there is no second copy."""
    import torch
    formats = {4: torch.channels_last, 5: torch.channels_last_3d} if last else {}
    return torch.empty(shape, dtype=dtype,
                       memory_format=formats.get(len(shape), torch.contiguous_format))


def fill_weights(network, dtype, last):
    """Memory and random weights that keep the activations' size; norms and biases as they begin."""
    from torch import nn
    for module in network.modules():
        for key, old in module._parameters.items():
            if old is None:
                continue
            weight = empty(old.shape, dtype, last)
            if weight.dim() > 1:
                weight.normal_(0, old[0].numel() ** -0.5)
            else:
                weight.fill_(1 if key == "weight" else 0)
            module._parameters[key] = nn.Parameter(weight)  # autocast keeps casts of these


class Form:
    """A network in one of FORMS, ready to be called."""

    def __init__(self, args, form):
        import torch
        self.args, self.last = args, "channels last" in form
        self.autocast = "autocast" in form
        self.dtype = torch.bfloat16 if "model" in form else torch.float32
        self.network = build(args.network).eval()
        fill_weights(self.network, self.dtype, self.last)

    def seconds(self, divisor, calls):
        """Of the fastest call on maps of 1/divisor of the extents."""
        import torch
        inputs = [torch.full(shape, 500.0) if len(shape) == 1
                  else empty(shape, self.dtype, self.last).normal_()
                  for shape in input_shapes(self.args.network, self.args, divisor)]
        best = math.inf
        with torch.inference_mode(), \
                torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            for _ in range(calls):
                start = time.perf_counter()
                self.network(*inputs)
                best = min(best, time.perf_counter() - start)
        return best


def trial(args, form):
    """Seconds on maps of half the extents; PyTorch has no bf16 for some operations of a network."""
    try:
        return Form(args, form).seconds(2, args.repetitions + 1)
    except NotImplementedError:
        return math.inf


def measure(args):
    """What the child processes do: print JSON."""
    import torch
    # Where memory runs out this process is the one to go.
    pathlib.Path("/proc/self/oom_score_adj").write_text("1000")
    torch.set_num_threads(args.threads or len(os.sched_getaffinity(0)))
    if args.form == "all":
        times = {form: trial(args, form) for form in FORMS[args.precision]}
        print(json.dumps({"form": min(times, key=times.get)}))
        return
    form = Form(args, args.form)
    form.seconds(2, 1)
    seconds = form.seconds(1, args.repetitions)
    print(json.dumps({"seconds": seconds, "peak": peak_mib()}))


# --- In the process that starts them -------------------------------------------------------------

class Failure(Exception):
    pass


def child(form):
    command = [sys.executable, *sys.argv, "--form", form]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure(f"not done in {TIMEOUT_SECONDS} s") from None
    if result.returncode == -9:
        raise Failure("killed, as when memory runs out")
    if result.returncode:
        raise Failure((result.stderr.strip() or f"exit {result.returncode}").splitlines()[-1])
    return json.loads(result.stdout)


def times(value, of):
    return f"{value / of:6.2f}" if of else "     -"


def row(args):
    head = f"| {args.network:11} | {args.precision:9} |"
    try:
        form = child("all")["form"]
        result = child(form)
    except Failure as failure:
        return f"{head} failed: {failure} |"
    seconds, peak = result["seconds"], result["peak"]
    rate = f"{args.octpipe_tflop * 1e3 / seconds:7.1f}" if args.octpipe_tflop else "      -"
    return (f"{head} {form:24} | {seconds:8.3f} | {rate} | {peak:8.0f} "
            f"| {times(seconds, args.octpipe_seconds)} | {times(peak, args.octpipe_mib)} |")


def number(text):
    return float(text or 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("network", nargs="?")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--latent", type=int, default=64)
    parser.add_argument("--slice", type=int, default=512)
    parser.add_argument("--thumbnail", type=int, default=128)
    parser.add_argument("--repetitions", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--octpipe-tflop", type=number, default=0, help="of a call")
    parser.add_argument("--octpipe-seconds", type=number, default=0, help="of the same row")
    parser.add_argument("--octpipe-mib", type=number, default=0, help="of the same row")
    parser.add_argument("--explain", metavar="VERSION", help="print the table's head instead")
    parser.add_argument("--form", help="measure in this form, or all: print JSON")
    args = parser.parse_args()
    if args.explain:
        print(explain(args.explain, args.repetitions), flush=True)
    elif args.form:
        measure(args)
    else:
        print(row(args), flush=True)


if __name__ == "__main__":
    main()
