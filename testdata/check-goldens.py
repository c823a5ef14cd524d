#!/usr/bin/env python3
"""Compare the reference networks and samplers with goldens made by others: check-goldens.py DIR

DIR holds the cases unet3d, unet2d, encode3d, latent_sr, encode2d, decode2d, decode_multislice,
ddim3d_clip0, ddim3d_clip1, ddpm2d, schedule and reference_shapes.json. Needs torch and safetensors.
"""
import json
import math
import pathlib
import sys

import torch
from safetensors import safe_open
from torch import nn

from reference_networks import (SR3D, Decoder2D, Encoder2D, Encoder3D, Quantizer, UNet,
                                decode_windows, thumbnail, timestep_embedding)
from reference_samplers import Sampler, ddim_tables, make_alpha_bar, posterior


def at(t, x):
    """The same timestep for every sample of x."""
    return torch.full((x.shape[0],), t)


class Golden:
    def __init__(self, folder, name):
        with safe_open(folder / f"{name}.safetensors", "pt") as file:
            self.tensors = {key: file.get_tensor(key) for key in file.keys()}
        self.name = name

    def load(self, network, prefix=""):
        prefix = f"weights.{prefix}"
        network.double().load_state_dict({key[len(prefix):]: value.double()
                                          for key, value in self.tensors.items()
                                          if key.startswith(prefix)})
        return network

    def get(self, key):
        value = self.tensors[key]
        return value.double() if value.is_floating_point() else value

    def compare(self, key, value, limit=1e-5):
        want = self.get(key)
        if want.is_floating_point():
            error = ((value - want).norm() / want.norm()).item()
        else:
            error = float((value.flatten() != want.flatten()).sum())
        print(f"{self.name:18s} {key:28s} {error:.1e}{'' if error <= limit else '  TOO FAR'}")
        return error <= limit


def check_networks(folder):
    yield from check_unets(folder)
    g = Golden(folder, "encode3d")
    x = thumbnail(g.tensors["in.volume"])
    h = g.load(Encoder3D(n=16), "encoder3D.")(x)
    yield g.compare("out.thumbnail", x)
    yield g.compare("out.h", h)
    yield g.compare("out.z", g.load(nn.Conv3d(4, 4, 1), "quant_conv_3D.")(h))

    g = Golden(folder, "latent_sr")
    quantized, codes = g.load(Quantizer(128), "quantize3D.")(g.get("in.z"))
    h = g.load(SR3D(), "SR3D.")(g.load(nn.Conv3d(4, 4, 1), "post_quant_conv_3D.")(quantized))
    z_sr = g.load(nn.Conv2d(4, 4, 1), "quant_conv.")(h[0].movedim(0, 1)).movedim(0, 1)[None]
    yield g.compare("out.codes", codes)
    yield g.compare("out.zq", quantized)
    yield g.compare("out.h_sr", h)
    yield g.compare("out.z_sr", z_sr)

    size = dict(ch=32, mult=(1, 2), blocks=1)
    g = Golden(folder, "encode2d")
    h = g.load(Encoder2D(**size), "encoder.")(g.get("in.x"))
    yield g.compare("out.z", g.load(nn.Conv2d(4, 4, 1), "quant_conv.")(h))
    for name in ("decode2d", "decode_multislice"):
        g = Golden(folder, name)
        decoder = g.load(Decoder2D(adaptors=name != "decode2d", **size), "decoder.")
        z = g.get("in.z") if name == "decode2d" else g.get("in.z")[0].movedim(0, 1)
        z = g.load(nn.Conv2d(4, 4, 1), "post_quant_conv.")(
            g.load(Quantizer(128), "quantize.")(z)[0])
        if name == "decode2d":
            yield g.compare("out.y", decoder(z))
        else:
            yield g.compare("out.window0", decoder(z[:5]))
            yield g.compare("out.volume", decode_windows(decoder, z, 5))


def check_unets(folder):
    """The U-Nets and the trajectories that use them. Where x0 is clamped at large t, rounding of
    the network is amplified about twelvefold, hence the limit of ddim3d_clip1."""
    g = Golden(folder, "unet3d")
    unet3d = g.load(UNet(3, 32, (1, 2), (2,), 4, blocks=1))
    yield g.compare("out.y", unet3d(g.get("in.x"), g.get("in.t")))
    g = Golden(folder, "unet2d")
    unet2d = g.load(UNet(2, 32, (1, 2, 2), (2, 4), 8, blocks=1))
    yield g.compare("out.y", unet2d(g.get("in.x"), g.get("in.t")))
    alpha_bar, _ = make_alpha_bar("linear", 1000)
    for name, clip, limit in (("ddim3d_clip0", math.inf, 1e-5), ("ddim3d_clip1", 1.0, 3e-5)):
        g = Golden(folder, name)
        sampler = Sampler(alpha_bar, lambda x, t: unet3d(x, at(t, x)), clip=clip)
        yield g.compare("out.z", sampler.ddim(g.get("in.noise"), 10, 1000), limit)
    g = Golden(folder, "ddpm2d")
    sampler = Sampler(make_alpha_bar("linear", 20)[0],
                      lambda x, t: unet2d(torch.cat([x, g.get("in.cond")], dim=1), at(t, x)),
                      noise=lambda t: g.get("in.step_noise")[t], clip=1.0)
    yield g.compare("out.z", sampler.ddpm(g.get("in.noise"), 20))


def check_schedule(folder):
    g = Golden(folder, "schedule")
    alpha_bar, beta = make_alpha_bar("linear", 1000)
    yield g.compare("out.betas", beta)
    yield g.compare("out.alphas_cumprod", alpha_bar)
    for name, value in zip(("mean_coef1", "mean_coef2", "variance"), posterior(alpha_bar, beta)):
        yield g.compare(f"out.posterior_{name}", value)
    for steps in (200, 50, 20):
        for name, value in zip(("timesteps", "alphas", "alphas_prev"),
                               ddim_tables(alpha_bar, steps)):
            yield g.compare(f"out.ddim{steps}.{name}", value)
    rows = torch.tensor([0, 1, 500, 999])
    yield g.compare("out.timestep_embedding_128", timestep_embedding(rows, 128))


def check_shapes(folder):
    """Names and shapes at full size."""
    with torch.device("meta"):
        networks = {"unet3d": UNet(3, 128, (1, 2, 4, 8), (4, 8), 4),
                    "unet2d": UNet(2, 192, (1, 2, 4, 4), (2, 4, 8), 8),
                    "encoder3D": Encoder3D(), "SR3D": SR3D(), "encoder2d": Encoder2D(),
                    "decoder2d": Decoder2D(), "decoder_multislice": Decoder2D(adaptors=True)}
    with open(folder / "reference_shapes.json") as file:
        shapes = json.load(file)
    for name, network in networks.items():
        same = shapes[name] == {key: list(value.shape)
                                for key, value in network.state_dict().items()}
        print(f"{name:18s} names and shapes at full size {'' if same else 'DIFFER'}")
        yield same


def main():
    torch.set_grad_enabled(False)
    folder = pathlib.Path(sys.argv[1])
    results = [*check_networks(folder), *check_schedule(folder), *check_shapes(folder)]
    print(f"{sum(results)} of {len(results)} agree")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
