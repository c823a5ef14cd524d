#!/usr/bin/env python3
"""Make testdata/goldens (needs torch): small networks of unusual configurations with random
weights, random inputs, and outputs computed in float64 and stored as float32. Every run makes the
same files. check-goldens.py compares the networks used here with goldens made by others.
"""
import json
import math
import pathlib
import struct
import zlib

import torch
from torch import nn

from reference_networks import (SR3D, Decoder2D, Encoder2D, Encoder3D, Quantizer, UNet,
                                decode_windows, thumbnail, timestep_embedding)
from reference_samplers import Sampler, ddim_tables, make_alpha_bar, posterior

GOLDENS = pathlib.Path(__file__).resolve().parent / "goldens"
DDIM_STEPS = (200, 50, 20)
EMBEDDING_ROWS = torch.tensor([0, 1, 500, 999])


def seed(name):
    torch.manual_seed(zlib.crc32(name.encode()))


def randomize(network, dtype=torch.float32):
    """Default initial weights with every parameter made to matter, and rounded to dtype."""
    for module in network.modules():
        if isinstance(module, (nn.GroupNorm, nn.BatchNorm2d)):
            nn.init.normal_(module.weight, 1, 0.1)
            nn.init.normal_(module.bias, 0, 0.1)
    for name, parameter in network.named_parameters():
        if "mix_factor" in name:
            nn.init.normal_(parameter)
        assert (parameter != 0).all(), name
        parameter.copy_(parameter.to(dtype))
    return network.double()


def tensors_of(network, prefix, dtype=torch.float32):
    return {f"weights.{prefix}{name}": value.to(dtype).contiguous()
            for name, value in network.state_dict().items()}


DTYPES = {torch.float64: "F64", torch.int64: "I64", torch.float32: "F32", torch.float16: "F16",
          torch.bfloat16: "BF16", torch.uint8: "U8"}


def save(name, tensors, **metadata):
    """Write goldens/name.safetensors, the same bytes every time (the usual library shuffles the
    metadata). float64 is stored as float32, but for the schedule."""
    if name != "schedule":
        tensors = {key: value.float() if value.dtype == torch.float64 else value
                   for key, value in tensors.items()}
    header, data = {"__metadata__": {key: str(value) for key, value in metadata.items()}}, b""
    for key, value in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
        begin = len(data)
        data += value.contiguous().flatten().view(torch.uint8).numpy().tobytes()
        header[key] = {"dtype": DTYPES[value.dtype], "shape": list(value.shape),
                       "data_offsets": [begin, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 64 + 56)
    (GOLDENS / f"{name}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def quantize(quantizer, z):
    """The quantizer on an input whose nearest codes float32 can tell, or that ties exactly."""
    pixels = z.movedim(1, -1).reshape(-1, 1, z.shape[1])
    nearest, second = (pixels - quantizer.embedding.weight).square().sum(-1).topk(
        2, largest=False).values.unbind(1)
    assert ((second == nearest) | (second - nearest > 1e-4 * second)).all()
    return quantizer(z)


def latent(*shape):
    return torch.randn(*shape).double()


def at(t, x):
    """The same timestep for every sample of x."""
    return torch.full((x.shape[0],), t)


def make_unet3d():
    seed("unet3d")
    config = dict(width=8, mult=(1, 2, 2), attention=(2, 4), c_in=4, blocks=2, heads=4, groups=4)
    network = randomize(UNet(3, **config), torch.bfloat16)
    x, x2 = latent(2, 4, 4, 8, 12), latent(1, 4, 8, 4, 4)
    t, t2 = torch.tensor([3, 977]), torch.tensor([411])
    save("unet3d", {**tensors_of(network, "model.", torch.bfloat16),
                    "in.x": x, "in.t": t, "out.y": network(x, t),
                    "in.x2": x2, "in.t2": t2, "out.y2": network(x2, t2)},
         dims=3, weights_dtype="BF16", **config)
    return network


def make_unet2d():
    seed("unet2d")
    config = dict(width=12, mult=(1, 2, 3), attention=(1, 4), c_in=8, blocks=2, heads=6, groups=6)
    network = randomize(UNet(2, **config), torch.float16)
    x, x2 = latent(3, 8, 8, 12), latent(1, 8, 20, 4)
    t, t2 = torch.tensor([0, 250, 999]), torch.tensor([88])
    save("unet2d", {**tensors_of(network, "model.", torch.float16),
                    "in.x": x, "in.t": t, "out.y": network(x, t),
                    "in.x2": x2, "in.t2": t2, "out.y2": network(x2, t2)},
         dims=2, weights_dtype="F16", **config)
    return network


def make_encode3d():
    seed("encode3d")
    encoder = randomize(Encoder3D(n=3, levels=3, groups=3))
    quant_conv = randomize(nn.Conv3d(4, 4, 1))
    volume = torch.randint(0, 256, (32, 48, 16), dtype=torch.uint8)
    x, x2 = thumbnail(volume), torch.rand(1, 1, 17, 9, 14).double() * 2 - 1
    save("encode3d", {**tensors_of(encoder, "encoder3D."),
                      **tensors_of(quant_conv, "quant_conv_3D."),
                      "in.volume": volume, "out.thumbnail": x, "out.h": encoder(x),
                      "out.z": quant_conv(encoder(x)),
                      "in.x2": x2, "out.z2": quant_conv(encoder(x2))},
         n_hiddens=3, levels=3, groups=3)


def make_latent_sr():
    seed("latent_sr")
    quantizer, post = randomize(Quantizer(codes=48)), randomize(nn.Conv3d(4, 4, 1))
    quantizer.embedding.weight[17] = quantizer.embedding.weight[5]  # a tie: 5 wins
    sr, quant_conv = randomize(SR3D(levels=2)), randomize(nn.Conv2d(4, 4, 1))
    z = latent(1, 4, 3, 5, 4)
    z[0, :, 1, 2, 3] = quantizer.embedding.weight[17] + 0.001
    quantized, codes = quantize(quantizer, z)
    h_sr = sr(post(quantized))
    z_sr = quant_conv(h_sr[0].movedim(0, 1)).movedim(0, 1)[None]
    save("latent_sr", {**tensors_of(quantizer, "quantize3D."),
                       **tensors_of(post, "post_quant_conv_3D."), **tensors_of(sr, "SR3D."),
                       **tensors_of(quant_conv, "quant_conv."),
                       "in.z": z, "out.codes": codes, "out.zq": quantized,
                       "out.h_sr": h_sr, "out.z_sr": z_sr},
         levels=2)


def make_autoencoder2d():
    seed("autoencoder2d")
    config = dict(ch=8, mult=(1, 2, 3), blocks=2, groups=4)
    encoder, quant_conv = randomize(Encoder2D(**config)), randomize(nn.Conv2d(4, 4, 1))
    x, x2 = (torch.rand(n, 1, h, w).double() * 2 - 1 for n, h, w in ((2, 16, 24), (1, 28, 12)))
    save("encode2d", {**tensors_of(encoder, "encoder."), **tensors_of(quant_conv, "quant_conv."),
                      "in.x": x, "out.z": quant_conv(encoder(x)),
                      "out.features": encoder.features(x),
                      "in.x2": x2, "out.z2": quant_conv(encoder(x2))}, **config)

    decoder = randomize(Decoder2D(**config))
    quantizer, post = randomize(Quantizer(codes=40)), randomize(nn.Conv2d(4, 4, 1))
    z, z2 = latent(2, 4, 4, 6), latent(1, 4, 7, 3)
    save("decode2d", {**tensors_of(decoder, "decoder."), **tensors_of(quantizer, "quantize."),
                      **tensors_of(post, "post_quant_conv."),
                      "in.z": z, "out.y": decoder(post(quantize(quantizer, z)[0])),
                      "in.z2": z2, "out.y2": decoder(post(quantize(quantizer, z2)[0]))}, **config)


def make_decode_multislice():
    seed("decode_multislice")
    config = dict(ch=16, mult=(1, 2), blocks=1, groups=4)
    decoder = randomize(Decoder2D(adaptors=True, **config), torch.bfloat16)
    quantizer, post = randomize(Quantizer(codes=56)), randomize(nn.Conv2d(4, 4, 1))
    z = latent(1, 4, 11, 6, 4)
    inner = post(quantize(quantizer, z[0].movedim(0, 1))[0])
    others = {f"out.volume_k{k}_hop{hop}": decode_windows(decoder, inner, k, hop)
              for k, hop in ((5, 4), (3, 1), (4, 3))}
    save("decode_multislice", {**tensors_of(decoder, "decoder.", torch.bfloat16),
                               **tensors_of(quantizer, "quantize."),
                               **tensors_of(post, "post_quant_conv."),
                               "in.z": z, "out.window0": decoder(inner[:5]),
                               "out.volume": decode_windows(decoder, inner, 5), **others},
         window=5, **config)


def make_sampling(unet3d, unet2d):
    """Trajectories with the networks of unet3d and unet2d."""
    seed("sampling")
    alpha_bar, _ = make_alpha_bar("linear", 1000)
    noise = latent(1, 4, 4, 8, 4)
    for clip in (math.inf, 1.0):
        sampler = Sampler(alpha_bar, lambda x, t: unet3d(x, at(t, x)), clip=clip)
        save(f"ddim3d_clip{int(clip < math.inf)}",
             {"in.noise": noise, "out.z": sampler.ddim(noise, 10, 1000)},
             weights_file="unet3d.safetensors", steps=10, eta=0, clip=int(clip < math.inf))

    noise, cond = latent(2, 4, 4, 8), latent(2, 4, 4, 8)
    step_noise = latent(20, 2, 4, 4, 8)
    short, _ = make_alpha_bar("linear", 20)

    def refine(x, t):
        return unet2d(torch.cat([x, cond], dim=1), at(t, x))

    ancestral = Sampler(short, refine, noise=lambda t: step_noise[t], clip=1.0)
    save("ddpm2d", {"in.noise": noise, "in.cond": cond, "in.step_noise": step_noise,
                    "out.z": ancestral.ddpm(noise, 20)},
         weights_file="unet2d.safetensors", T=20, clip=1)
    velocity = Sampler(alpha_bar, refine, parameterization="v")
    save("dpm2d", {"in.noise": noise, "in.cond": cond, "out.z": velocity.dpm(noise, 12, 1000)},
         weights_file="unet2d.safetensors", steps=12, clip=0, parameterization="v")


# kind steps eta clip parameterization T schedule latent_scale start
SAMPLER_CASES = {
    "ddim": "ddim 10 0 inf eps 50 linear 1 0",
    "ddim_clip": "ddim 10 0 1 eps 50 linear 1 0",
    "ddim_eta": "ddim 25 1 1.5 eps 50 linear 1 0",
    "ddim_cosine_v": "ddim 10 0.5 inf v 50 cosine 1 0",
    "ddim_flow": "ddim 10 0.3 2 flow 50 straight 0.5 0",
    "ddim_start": "ddim 10 0 inf eps 50 linear 1 30",
    "ddpm": "ddpm 0 0 1 eps 50 linear 1 0",
    "ddpm_flow": "ddpm 0 0 inf flow 50 straight 1 0",
    "ddpm_scale_start": "ddpm 0 0 inf v 50 linear 3 20",
    "dpm": "dpm 10 0 inf eps 50 linear 1 0",
    "dpm_clip": "dpm 20 0 1 v 50 cosine 2 0",
    "dpm_flow": "dpm 7 0 inf flow 50 straight 1 0",
    "dpm_one": "dpm 1 0 inf eps 50 linear 1 0",
    "dpm_start": "dpm 10 0 inf v 50 linear 1 27",
}


def made_up_network(x, t):
    return 0.5 * torch.sin(2 * x + t / 10) + 0.3 * x


def make_samplers():
    """Trajectories with a network in closed form."""
    seed("samplers")
    noise, z, step_noise = latent(64), latent(64), latent(50, 64)
    tensors = {"in.noise": noise, "in.z": z, "in.step_noise": step_noise}
    for name, case in SAMPLER_CASES.items():
        kind, steps, eta, clip, parameterization, timesteps, schedule, scale, start = case.split()
        timesteps, start, steps = int(timesteps), int(start), int(steps)
        alpha_bar = None if schedule == "straight" else make_alpha_bar(schedule, timesteps)[0]
        sampler = Sampler(alpha_bar, made_up_network, lambda t: step_noise[t], parameterization,
                          float(clip), float(scale))
        x = noise
        if start:
            first, _ = sampler.list_timesteps(kind, steps, timesteps, start)[0]
            x = sampler.noise_to(z, noise, first, timesteps)
        if kind == "ddim":
            x = sampler.ddim(x, steps, timesteps, float(eta), start)
        elif kind == "ddpm":
            x = sampler.ddpm(x, timesteps, start)
        else:
            x = sampler.dpm(x, steps, timesteps, start)
        tensors[f"out.{name}"] = x
    save("samplers", tensors, **SAMPLER_CASES)


def make_schedule():
    alpha_bar, beta = make_alpha_bar("linear", 1000)
    tensors = {"out.betas": beta, "out.alphas_cumprod": alpha_bar,
               "out.timestep_embedding_128": timestep_embedding(EMBEDDING_ROWS, 128).float()}
    for name, value in zip(("mean_coef1", "mean_coef2", "variance"), posterior(alpha_bar, beta)):
        tensors[f"out.posterior_{name}"] = value
    for steps in DDIM_STEPS:
        timesteps, a, a_before = ddim_tables(alpha_bar, steps)
        tensors[f"out.ddim{steps}.timesteps"] = timesteps
        tensors[f"out.ddim{steps}.alphas"] = a
        tensors[f"out.ddim{steps}.alphas_prev"] = a_before
        tensors[f"out.ddim{steps}.sigmas_eta1"] = (
            (1 - a_before) / (1 - a) * (1 - a / a_before)).sqrt()
    tensors["out.cosine50.alphas_cumprod"] = make_alpha_bar("cosine", 50)[0]
    tensors["out.linear50.alphas_cumprod"] = make_alpha_bar("linear 2e-4 5e-2", 50)[0]
    save("schedule", tensors)


def make_all():
    GOLDENS.mkdir(exist_ok=True)
    unet3d, unet2d = make_unet3d(), make_unet2d()
    make_encode3d()
    make_latent_sr()
    make_autoencoder2d()
    make_decode_multislice()
    make_sampling(unet3d, unet2d)
    make_samplers()
    make_schedule()


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    make_all()
