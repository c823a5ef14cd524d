#!/usr/bin/env python3
"""Make the checkpoints in testdata/checkpoints (needs torch, and octpipe's programs on PATH): what
the authors' training scripts save, at small width. Every number follows from its tensor's name in
the imported file and its index, so tests compute it again; it fits f16 and bf16 exactly."""
import argparse
import collections
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import zipfile

import torch

FOLDER = pathlib.Path(__file__).parent / "checkpoints"
PERIOD = 31

PARTS = {
    "nhae": "--width 2 --width2d 2 --mult 1,1,1,1 --groups 2 --codes 4 --blocks 1",
    "ldm3d": "--width 4 --mult 1,1 --blocks 1 --attention 2 --groups 2 --heads 2",
    "refiner": "--width 4 --mult 1,1 --blocks 1 --attention 2 --groups 2 --heads 2",
    "multislice": "--width 2 --mult 1,1 --groups 2 --codes 4 --blocks 1",
    "autoencoder2d": "--width 2 --mult 1,1 --groups 2 --codes 4 --blocks 1",
    "discriminator": "--width 2",
}


def values(name, shape, dtype=torch.float32):
    hashed = 0xCBF29CE484222325
    for byte in name.encode():
        hashed = (hashed ^ byte) * 0x100000001B3 % 2**64
    count = torch.Size(shape).numel()
    number = (torch.arange(count) + hashed % PERIOD) % PERIOD - PERIOD // 2
    return (number.double() / 16).to(dtype).reshape(shape)


def tensors(part, dtype=torch.float32, prefix=""):
    """The part's tensors by the names of init-weights, as a state dict."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "w.safetensors")
        subprocess.run(["init-weights", part, *PARTS[part].split(), "-o", path], check=True)
        with open(path, "rb") as file:
            header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
    return collections.OrderedDict(
        (prefix + name, values(name, entry["shape"], dtype))
        for name, entry in header.items() if name != "__metadata__")


def averages(state):
    """Of all tensors, as LitEma names them."""
    names = {name: "model_ema." + name.removeprefix("model.").replace(".", "") for name in state}
    return {names[name]: values(names[name], value.shape, value.dtype)
            for name, value in state.items()}


def unusual(state):
    """The same numbers: parts of one storage, transposed, as parameters."""
    names, at, out = list(state), 0, collections.OrderedDict()
    shared = names[:len(names) // 3]
    flat = torch.cat([state[name].reshape(-1) for name in shared])
    for i, name in enumerate(names):
        value = state[name]
        if name in shared:
            value = flat[at:at + value.numel()].view(value.shape)
            at += value.numel()
        elif i % 3 == 0:
            axes = tuple(reversed(range(value.dim())))
            value = value.permute(axes).contiguous().permute(axes)
        elif i % 3 == 1 and value.is_floating_point():
            value = torch.nn.Parameter(value)
        out[name] = value
    return out


def lightning(state):
    """What Lightning saves around a state dict."""
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight])
    weight.sum().backward()
    optimizer.step()
    options = argparse.Namespace(exp_name="refiner", base_lr=4.5e-6, latent_size=(64, 64),
                                 result_root=pathlib.PurePosixPath("results"), devices=[0])
    return {"epoch": 3, "global_step": 20000, "pytorch-lightning_version": "1.9.0",
            "state_dict": state, "loops": {"fit_loop": {"state_dict": {}}},
            "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.25),
                                              "dirpath": pathlib.PurePosixPath("results")}},
            "optimizer_states": [optimizer.state_dict()], "lr_schedulers": [],
            "hparams_name": "opts", "hyper_parameters": {"opts": options}}


def deflate(path):
    """The archive again, deflated, as zip programs write it."""
    with zipfile.ZipFile(path) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


INCEPTION_A = dict(branch1x1=(0, 64, 1, 1), branch5x5_1=(0, 48, 1, 1), branch5x5_2=(48, 64, 5, 5),
                   branch3x3dbl_1=(0, 64, 1, 1), branch3x3dbl_2=(64, 96, 3, 3),
                   branch3x3dbl_3=(96, 96, 3, 3))


def inception_convolutions():
    """Name: (in, out, height, width), from the paper's tables as torchvision has them."""
    yield from {"Conv2d_1a_3x3": (3, 32, 3, 3), "Conv2d_2a_3x3": (32, 32, 3, 3),
                "Conv2d_2b_3x3": (32, 64, 3, 3), "Conv2d_3b_1x1": (64, 80, 1, 1),
                "Conv2d_4a_3x3": (80, 192, 3, 3)}.items()

    def block(name, channels, branches):
        for branch, (into, out, height, width) in branches.items():
            yield f"{name}.{branch}", (into or channels, out, height, width)

    for name, channels, pool in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
        yield from block(f"Mixed_{name}", channels,
                         INCEPTION_A | {"branch_pool": (0, pool, 1, 1)})
    yield from block("Mixed_6a", 288, dict(
        branch3x3=(0, 384, 3, 3), branch3x3dbl_1=(0, 64, 1, 1), branch3x3dbl_2=(64, 96, 3, 3),
        branch3x3dbl_3=(96, 96, 3, 3)))
    for name, c in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
        yield from block(f"Mixed_{name}", 768, dict(
            branch1x1=(0, 192, 1, 1), branch7x7_1=(0, c, 1, 1), branch7x7_2=(c, c, 1, 7),
            branch7x7_3=(c, 192, 7, 1), branch7x7dbl_1=(0, c, 1, 1), branch7x7dbl_2=(c, c, 7, 1),
            branch7x7dbl_3=(c, c, 1, 7), branch7x7dbl_4=(c, c, 7, 1),
            branch7x7dbl_5=(c, 192, 1, 7), branch_pool=(0, 192, 1, 1)))
    yield from block("Mixed_7a", 768, dict(
        branch3x3_1=(0, 192, 1, 1), branch3x3_2=(192, 320, 3, 3), branch7x7x3_1=(0, 192, 1, 1),
        branch7x7x3_2=(192, 192, 1, 7), branch7x7x3_3=(192, 192, 7, 1),
        branch7x7x3_4=(192, 192, 3, 3)))
    for name, channels in (("7b", 1280), ("7c", 2048)):
        yield from block(f"Mixed_{name}", channels, dict(
            branch1x1=(0, 320, 1, 1), branch3x3_1=(0, 384, 1, 1), branch3x3_2a=(384, 384, 1, 3),
            branch3x3_2b=(384, 384, 3, 1), branch3x3dbl_1=(0, 448, 1, 1),
            branch3x3dbl_2=(448, 384, 3, 3), branch3x3dbl_3a=(384, 384, 1, 3),
            branch3x3dbl_3b=(384, 384, 3, 1), branch_pool=(0, 192, 1, 1)))


def inception(width):
    """pytorch-fid's state dict with `width` channels in the first layer, in one storage."""
    shapes = {}
    for name, (into, out, *kernel) in inception_convolutions():
        into, out = into if into == 3 else into * width // 32, out * width // 32
        shapes[f"{name}.conv.weight"] = (out, into, *kernel)
        for key in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.bn.{key}"] = (out,)
    shapes["fc.weight"], shapes["fc.bias"] = (8, 2048 * width // 32), (8,)
    flat = torch.cat([values(name, shape).reshape(-1) for name, shape in shapes.items()])
    state, at = collections.OrderedDict(), 0
    for name, shape in shapes.items():
        count = torch.Size(shape).numel()
        state[name] = flat[at:at + count].view(shape)
        at += count
    return state


def vgg16():
    """torchvision's names; values by those of the imported file."""
    state, into = collections.OrderedDict(), 3
    layers = ((0, 2), (2, 2), (5, 4), (7, 4), (10, 4), (12, 4), (14, 4), (17, 8), (19, 8), (21, 8),
              (24, 8), (26, 8), (28, 8))
    for layer, out in layers:
        name = f"net.slice{1 + sum(layer >= first for first in (4, 9, 16, 23))}.{layer}"
        state[f"features.{layer}.weight"] = values(f"{name}.weight", (out, into, 3, 3))
        state[f"features.{layer}.bias"] = values(f"{name}.bias", (out,))
        into = out
    state["classifier.0.weight"] = torch.zeros(2, 2)
    return state


def linear_layers():
    return collections.OrderedDict(
        (f"lin{i}.model.1.weight", values(f"lin{i}.model.1.weight", (1, out, 1, 1)))
        for i, out in enumerate((2, 4, 4, 8, 8)))


def main():
    FOLDER.mkdir(exist_ok=True)
    save = torch.save
    old = dict(_use_new_zipfile_serialization=False)

    state = tensors("nhae")
    state["loss.discriminator.main.0.bias"] = torch.zeros(2)
    save(lightning(state), FOLDER / "nhae.ckpt", pickle_protocol=4)
    deflate(FOLDER / "nhae.ckpt")

    state = tensors("ldm3d")
    state["betas"] = torch.zeros(4, dtype=torch.float64)
    state["first_stage_model.decoder.conv_in.weight"] = torch.zeros(2, 4, 3, 3)
    save(lightning(state), FOLDER / "ldm3d.ckpt")

    state = tensors("refiner", torch.float16)
    state |= averages(state)
    state["model_ema.decay"] = torch.tensor(0.9999)
    state["model_ema.num_updates"] = torch.tensor(7, dtype=torch.int32)
    save(lightning(state), FOLDER / "refiner.ckpt", **old)

    save(lightning(tensors("multislice", torch.bfloat16)), FOLDER / "multislice.ckpt")
    deflate(FOLDER / "multislice.ckpt")

    state = unusual(tensors("autoencoder2d"))
    state |= tensors("discriminator", torch.float64, "loss2.discriminator.")
    state["loss2.discriminator.main.3.num_batches_tracked"] = torch.tensor(5)
    save(lightning(state), FOLDER / "autoencoder2d.ckpt", **old)

    save(inception(2), FOLDER / "inception.pth")
    deflate(FOLDER / "inception.pth")
    save(vgg16(), FOLDER / "vgg16.pth", **old)
    save(linear_layers(), FOLDER / "lpips.pth", **old)


if __name__ == "__main__":
    main()
