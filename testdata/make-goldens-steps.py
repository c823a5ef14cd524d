#!/usr/bin/env python3
"""Make the goldens of whole training steps in testdata/goldens (needs torch): five steps of each
training program by PyTorch in float64, stored as float32, the same files in every run."""
import importlib
import math

import torch
from torch import nn

import reference_order as order
from reference_networks import SR3D, Decoder2D, Encoder2D, Encoder3D, Quantizer, UNet
from reference_samplers import make_alpha_bar
from reference_training import LPIPS, Discriminator, quantize_through

goldens = importlib.import_module("make-goldens")

STEPS, SEED = 5, 11
# Epsilon is large, so that a gradient that is nothing but rounding moves nothing.
OPTIMIZER = dict(rate=2e-3, beta2=0.95, decay=0.05, epsilon=1e-3, warm_up=3)


def randomize(network):
    with torch.no_grad():
        return goldens.randomize(network)


class Trained:
    """A set of parameters with its optimizer; bound: of the gradient's norm."""

    def __init__(self, parameters, bound):
        self.parameters, self.bound = parameters, bound
        self.adamw = torch.optim.AdamW(parameters.values(), lr=0, eps=OPTIMIZER["epsilon"],
                                       betas=(0.9, OPTIMIZER["beta2"]),
                                       weight_decay=OPTIMIZER["decay"])
        self.updates = 0

    def clear(self):
        self.adamw.zero_grad()

    def update(self):
        """The gradient's norm."""
        if all(p.grad is None for p in self.parameters.values()):
            return 0.0
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), self.bound)
        self.updates += 1
        self.adamw.param_groups[0]["lr"] = OPTIMIZER["rate"] * min(
            1, self.updates / OPTIMIZER["warm_up"])
        self.adamw.step()
        return norm.item()

    def tensors(self):
        states = {name: self.adamw.state[p] for name, p in self.parameters.items()}
        tensors = {f"out.value.{name}": p.detach() for name, p in self.parameters.items()}
        tensors |= {f"out.moment1.{name}": s["exp_avg"] for name, s in states.items()}
        return tensors | {f"out.moment2.{name}": s["exp_avg_sq"] for name, s in states.items()}


def train(sets, accumulate, compute, average=0.0):
    """Steps of the loop: losses (STEPS, n), norms of the first set, what is left of the sets."""
    losses, norms = [], []
    averages = {name: p.detach().clone() for name, p in sets[0].parameters.items()}
    for step in range(STEPS):
        for s in sets:
            s.clear()
        parts = []
        for part in range(accumulate):
            total, values = compute(step, part)
            (total / accumulate).backward()
            parts.append(torch.tensor(values, dtype=torch.float64))
        losses.append(torch.stack(parts).mean(0))
        norms.append([s.update() for s in sets][0])
        decay = min(average, (2 + step) / (11 + step))
        for name, p in sets[0].parameters.items():
            averages[name] += (1 - decay) * (p.detach() - averages[name])
    assert max(norms) < 100  # well conditioned
    tensors = {"out.losses": torch.stack(losses), "out.norms": torch.tensor(norms).double()}
    for s in sets:
        tensors |= s.tensors()
    if average:
        tensors |= {f"out.average.{name}": value for name, value in averages.items()}
    return tensors


def named(parts, learns=lambda name: True):
    """The parameters that learn of the networks in `parts`; the others are frozen."""
    parameters = {}
    for prefix, part in parts.items():
        for name, p in part.named_parameters():
            p.requires_grad_(learns(f"{prefix}.{name}"))
            if p.requires_grad:
                parameters[f"{prefix}.{name}"] = p
    return parameters


class Adversary:
    """Discriminator and LPIPS; step from which the discriminator judges."""

    def __init__(self, start, perceptual):
        self.start = start
        self.discriminator = randomize(Discriminator(width=4))
        self.lpips = randomize(LPIPS(widths=(3, 4, 3, 4, 3))).eval() if perceptual else None
        for name, p in self.lpips.named_parameters() if perceptual else ():
            with torch.no_grad():
                if name.startswith("lin"):
                    p.abs_()
                elif p.dim() == 4:
                    p *= 2.5
            p.requires_grad_(False)
        parts = {"loss.discriminator": self.discriminator}
        self.weights = goldens.tensors_of(self.discriminator, "loss.discriminator.")
        if perceptual:
            parts["perceptual"] = self.lpips
            self.weights |= goldens.tensors_of(self.lpips, "perceptual.")
        self.weights = {name: value.clone() for name, value in self.weights.items()
                        if "num_batches" not in name}
        self.trained = Trained(named({"loss.discriminator": self.discriminator}), 1.0)

    def judge(self, step, x, y, last):
        """The loss by which y is judged, and the losses that the log shows. The discriminator's
        own gradients are left in it."""
        l1, judged = (x - y).abs().mean(), step >= self.start
        nll, shown = l1, []
        if self.lpips:
            distance = self.lpips(x, y)
            nll = l1 + 0.1 * distance
            shown = [distance.item()]
        if not judged:
            return nll, l1.item(), shown + [0, 0, 0]
        for p in self.discriminator.parameters():
            p.requires_grad_(False)
        g = -self.discriminator(y).mean()
        for p in self.discriminator.parameters():
            p.requires_grad_(True)
        norms = [torch.autograd.grad(v, last, retain_graph=True)[0].norm() for v in (nll, g)]
        weight = (norms[0] / (norms[1] + 1e-4)).clamp(0, 1e4)
        real, fake = self.discriminator(x), self.discriminator(y.detach())
        own = 0.5 * ((1 - real).relu().mean() + (1 + fake).relu().mean())
        # Its parameters see `own` alone: `g` was made while they were frozen.
        return (nll + weight * 0.6 * g + own, l1.item(),
                shown + [g.item(), weight.item(), own.item()])


def quantize(quantizer, z):
    """With gradients; the nearest codes must be clear in float32 too."""
    with torch.no_grad():
        goldens.quantize(quantizer, z)
    return quantize_through(quantizer, z)


def make_volume(*shape):
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def place(step, sample, i, room):
    return order.below(SEED, order.CROP, step, sample, i, room + 1)


def networks2d(codes, **config):
    encoder = randomize(Encoder2D(**config))
    decoder = randomize(Decoder2D(**config))
    return {"encoder": encoder, "quant_conv": randomize(nn.Conv2d(4, 4, 1)),
            "quantize": randomize(Quantizer(codes)),
            "post_quant_conv": randomize(nn.Conv2d(4, 4, 1)), "decoder": decoder}


def weights_of(parts):
    weights = {}
    for name, part in parts.items():
        weights |= goldens.tensors_of(part, f"{name}.")
    return weights


def save(name, tensors, **metadata):
    goldens.save(name, tensors, **OPTIMIZER, seed=SEED, steps=STEPS, **metadata)


CONFIG = dict(ch=4, mult=(1, 2), blocks=1, groups=2)


def make_autoencoder2d():
    name, batch, accumulate, crop = "steps_autoencoder2d", 2, 2, (16, 24)
    goldens.seed(name)
    parts, adversary = networks2d(16, **CONFIG), Adversary(2, True)
    volume, weights = make_volume(3, 20, 28), weights_of(parts)
    trained = Trained(named(parts), 1.0)

    def read(step, number):
        slice_ = order.item(SEED, len(volume), step * accumulate * batch + number)
        top, left = (place(step, number, i, volume.shape[i + 1] - crop[i]) for i in range(2))
        return volume[slice_, top:top + crop[0], left:left + crop[1]].double() / 127.5 - 1

    def compute(step, part):
        x = torch.stack([read(step, part * batch + i)[None] for i in range(batch)])
        z = parts["quant_conv"](parts["encoder"](x))
        zq, codebook = quantize(parts["quantize"], z)
        y = parts["decoder"](parts["post_quant_conv"](zq))
        loss, l1, others = adversary.judge(step, x, y, parts["decoder"].conv_out.weight)
        return loss + codebook, [l1, codebook.item(), *others]

    save(name, {**weights, **adversary.weights, "in.volume": volume,
                **train([trained, adversary.trained], accumulate, compute)},
         groups=2, batch=batch, accumulate=accumulate, crop0=0, crop1=crop[0], crop2=crop[1],
         adversarial_start=2, bound=1)


def make_nhae():
    name, batch, accumulate, crop = "steps_nhae", 3, 2, (8, 16, 20)
    goldens.seed("nhae, with clear codes")
    config = dict(CONFIG, mult=(1, 1, 1))
    parts, adversary = networks2d(24, **config), Adversary(0, False)
    parts |= {"encoder3D": randomize(Encoder3D(n=2, levels=1, groups=2)),
              "quant_conv_3D": randomize(nn.Conv3d(4, 4, 1)),
              "quantize3D": randomize(Quantizer(24)),
              "post_quant_conv_3D": randomize(nn.Conv3d(4, 4, 1)), "SR3D": randomize(SR3D(2))}
    with torch.no_grad():  # codes of many kinds, so that no norm sees a constant
        parts["encoder3D"].final_block[2].weight *= 4
    volume, weights = make_volume(10, 17, 22), weights_of(parts)
    learning = ("encoder3D", "quant_conv_3D", "quantize3D", "post_quant_conv_3D", "SR3D",
                "decoder.conv_out.")
    trained = Trained(named(parts, lambda n: n.startswith(learning)), 1.0)

    def compute(step, part):
        corner = [place(step, part, i, volume.shape[i] - crop[i]) for i in range(3)]
        box = volume[tuple(slice(c, c + n) for c, n in zip(corner, crop))].double() / 127.5 - 1
        flips = [axis for i, axis in ((3, 0), (4, 2)) if place(step, part, i, 1)]
        box = box.flip(flips)
        slices = torch.tensor([place(step, part, 5 + i, crop[0] - 1) for i in range(batch)])
        z = parts["quant_conv_3D"](parts["encoder3D"](box[None, None, ::2, ::2, ::2]))
        zq, codebook3d = quantize(parts["quantize3D"], z)
        h_sr = parts["SR3D"](parts["post_quant_conv_3D"](zq))[0].movedim(0, 1)[slices]
        inner, codebook = quantize(parts["quantize"], parts["quant_conv"](h_sr))
        x, y = box[slices, None], parts["decoder"](parts["post_quant_conv"](inner))
        loss, l1, others = adversary.judge(step, x, y, parts["decoder"].conv_out.weight)
        latent = (h_sr - parts["encoder"](x)).abs().mean()
        return (loss + codebook + codebook3d + latent,
                [l1, codebook.item(), codebook3d.item(), latent.item(), *others])

    save(name, {**weights, **adversary.weights, "in.volume": volume,
                **train([trained, adversary.trained], accumulate, compute)},
         groups=2, batch=batch, accumulate=accumulate, crop0=crop[0], crop1=crop[1],
         crop2=crop[2], adversarial_start=0, bound=1)


def make_multislice():
    name, batch, accumulate, crop = "steps_multislice", 4, 1, (16, 20)
    goldens.seed(name)
    parts, adversary = networks2d(24, **CONFIG), Adversary(1, False)
    parts["decoder"] = randomize(Decoder2D(adaptors=True, **CONFIG))
    volume, weights = make_volume(7, 18, 22), weights_of(parts)
    trained = Trained(named(parts, lambda n: "3d" in n), 1.0)

    def compute(step, part):
        first = order.item(SEED, len(volume), step * accumulate + part)
        first = min(first, len(volume) - batch)
        top, left = (place(step, part, i, volume.shape[i + 1] - crop[i]) for i in range(2))
        x = volume[first:first + batch, None, top:top + crop[0], left:left + crop[1]].double()
        x = x / 127.5 - 1
        zq, _ = quantize(parts["quantize"], parts["quant_conv"](parts["encoder"](x)))
        y = parts["decoder"](parts["post_quant_conv"](zq))
        loss, l1, others = adversary.judge(step, x, y, parts["decoder"].conv_out_3d.weight)
        return loss, [l1, *others]

    save(name, {**weights, **adversary.weights, "in.volume": volume,
                **train([trained, adversary.trained], accumulate, compute, 0.9)},
         groups=2, batch=batch, accumulate=accumulate, crop0=0, crop1=crop[0], crop2=crop[1],
         adversarial_start=1, bound=1, average=0.9)


def coefficients(parameterization, timesteps):
    """alpha and sigma of each timestep (lib/diffusion/schedule.h)."""
    if parameterization == "flow":
        sigma = torch.arange(1, timesteps + 1, dtype=torch.float64) / timesteps
        return 1 - sigma, sigma
    alpha_bar, _ = make_alpha_bar("linear", timesteps)
    return alpha_bar.sqrt(), (1 - alpha_bar).sqrt()


def make_denoising(name, dims, z, condition, parameterization, squared, batch, accumulate, average,
                   **config):
    """z: latents (D, C, H, W); dims 2: every slice is a sample, condition is like z."""
    timesteps = 40
    network = randomize(UNet(dims, **config))
    weights = goldens.tensors_of(network, "model.")
    trained = Trained(named({"model": network}), math.inf)
    all_z = torch.cat(z)
    scale = 1 / (all_z.square().mean() - all_z.mean() ** 2).sqrt()
    alpha, sigma = coefficients(parameterization, timesteps)
    samples = [s[None] for s in all_z] if dims == 2 else z
    conditions = [s[None] for s in torch.cat(condition)] if dims == 2 else None

    def read(step, number):
        i = order.item(SEED, len(samples), step * accumulate * batch + number)
        t = order.below(SEED, order.TIMESTEP, step, number, 0, timesteps)
        x0, depth = scale * samples[i], len(samples[i])
        epsilon = torch.stack([order.normals(SEED, order.NOISE, step, number * depth + k,
                                             x0[0].numel()).reshape(x0[0].shape)
                               for k in range(depth)])
        noisy = alpha[t] * x0 + sigma[t] * epsilon
        target = {"eps": epsilon, "v": alpha[t] * epsilon - sigma[t] * x0,
                  "flow": epsilon - x0}[parameterization]
        if dims == 3:
            return noisy.movedim(0, 1), target.movedim(0, 1), t
        return torch.cat([noisy, scale * conditions[i]], 1)[0], target[0], t

    def compute(step, part):
        x, target, t = zip(*(read(step, part * batch + i) for i in range(batch)))
        difference = network(torch.stack(x), torch.tensor(t)) - torch.stack(target)
        loss = difference.square().mean() if squared else difference.abs().mean()
        return loss, [loss.item()]

    data = {f"in.z{i}": value for i, value in enumerate([*(condition or ()), *z])}
    save(name, {**weights, **data, **train([trained], accumulate, compute, average),
                "out.latent_scale": scale[None], "out.clip": (scale * all_z.abs().max())[None]},
         heads=config["heads"], groups=config["groups"], batch=batch, accumulate=accumulate,
         average=average, bound=math.inf, parameterization=parameterization, timesteps=timesteps,
         squared=int(squared))


def latents(count, *shape):
    return [2.5 * torch.randn(*shape).float().double() for _ in range(count)]


def rounded(list_):
    """As the file holds them."""
    return [value.float().double() for value in list_]


if __name__ == "__main__":
    make_autoencoder2d()
    make_nhae()
    make_multislice()
    config = dict(width=4, mult=(1, 2), blocks=1, heads=2, groups=2)
    goldens.seed("steps_refiner")
    make_denoising("steps_refiner", 2, rounded(latents(2, 3, 4, 4, 6)),
                   rounded(latents(2, 3, 4, 4, 6)), "v", False, 2, 2, 0.9999, c_in=8,
                   attention=(2,), **config)
    goldens.seed("steps_ldm3d")
    make_denoising("steps_ldm3d", 3, rounded(latents(3, 4, 4, 2, 4)), None, "flow", True, 1, 3,
                   0, c_in=4, attention=(1,), **config)
