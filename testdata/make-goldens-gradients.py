#!/usr/bin/env python3
"""Make the goldens of losses and gradients in testdata/goldens (needs torch): computed in float64,
stored as float32, the same files in every run."""
import importlib

import torch
from torch import nn

from reference_networks import SR3D, Decoder2D, Encoder3D, Quantizer, UNet
from reference_training import LPIPS, Discriminator, quantize_through

goldens = importlib.import_module("make-goldens")
save, seed, tensors_of, latent = (goldens.save, goldens.seed, goldens.tensors_of, goldens.latent)


def randomize(network):
    with torch.no_grad():
        return goldens.randomize(network)


def gradients(loss, **parts):
    """Gradients of loss by the parameters of networks and by tensors, under golden names."""
    tensors = {}
    for prefix, part in parts.items():
        if isinstance(part, nn.Module):
            dot = f"{prefix}." if prefix else ""
            tensors.update({f"{dot}{name}": value for name, value in part.named_parameters()})
        else:
            tensors[prefix] = part
    made = torch.autograd.grad(loss, list(tensors.values()), allow_unused=True)
    assert all(gradient is not None for gradient in made)
    return {f"out.grad.{name}": gradient for name, gradient in zip(tensors, made)}


def check_codes(quantizer, z):
    """The nearest codes must be clear in float32 too."""
    with torch.no_grad():
        goldens.quantize(quantizer, z)


def make_unet(name, dims, shape, t, **config):
    seed(name)
    network = randomize(UNet(dims, **config))
    x = latent(*shape).requires_grad_()
    target = latent(shape[0], 4, *shape[2:])
    y = network(x, torch.tensor(t))
    loss = (y - target).abs().mean()
    # "weights." is a shorter prefix than "out.grad.", so the networks find their weights.
    save(name, {**tensors_of(network, ""), "in.x": x.detach(), "in.t": torch.tensor(t),
                "out.y": y.detach(), "out.l1_target": target, "out.l1_loss": loss.detach()[None],
                **gradients(loss, x=x, **{"": network})},
         dims=dims, **config)


def make_nhae():
    seed("nhae_gradients")
    config = dict(ch=8, mult=(1, 2), blocks=1, groups=4)
    encoder, sr = randomize(Encoder3D(n=4, levels=1, groups=4)), randomize(SR3D(levels=2))
    decoder = randomize(Decoder2D(**config))
    quantizer3d, quantizer = randomize(Quantizer(codes=24)), randomize(Quantizer(codes=24))
    convs = {"quant_conv_3D": nn.Conv3d(4, 4, 1), "post_quant_conv_3D": nn.Conv3d(4, 4, 1),
             "quant_conv": nn.Conv2d(4, 4, 1), "post_quant_conv": nn.Conv2d(4, 4, 1)}
    convs = {name: randomize(conv) for name, conv in convs.items()}
    thumbnail, slices = latent(1, 1, 6, 8, 10), torch.tensor([7, 2, 2])
    target = latent(3, 1, 8, 10)

    z = convs["quant_conv_3D"](encoder(thumbnail))
    check_codes(quantizer3d, z)
    zq, loss3d = quantize_through(quantizer3d, z)
    h_sr = sr(convs["post_quant_conv_3D"](zq))[0].movedim(0, 1)[slices]
    z_sr = convs["quant_conv"](h_sr)
    check_codes(quantizer, z_sr)
    inner, loss2d = quantize_through(quantizer, z_sr)
    y = decoder(convs["post_quant_conv"](inner))
    loss = (y - target).abs().mean() + loss3d + loss2d
    parts = {"encoder3D": encoder, "SR3D": sr, "decoder": decoder, "quantize3D": quantizer3d,
             "quantize": quantizer, **convs}
    weights = {}
    for name, part in parts.items():
        weights.update(tensors_of(part, f"{name}."))
    save("nhae_gradients", {**weights, "in.thumbnail": thumbnail, "in.slices": slices,
                            "in.target": target, "out.rec": y.detach(),
                            "out.vq_loss_3d": loss3d.detach()[None],
                            "out.vq_loss_2d": loss2d.detach()[None],
                            "out.loss": loss.detach()[None], **gradients(loss, **parts)},
         groups=4)


def make_multislice():
    seed("multislice_gradients")
    config = dict(ch=8, mult=(1, 2), blocks=1, groups=4)
    decoder = randomize(Decoder2D(adaptors=True, **config))
    quantizer, post = randomize(Quantizer(codes=40)), randomize(nn.Conv2d(4, 4, 1))
    z, target = latent(4, 4, 4, 6).requires_grad_(), latent(4, 1, 8, 12)
    check_codes(quantizer, z)
    y = decoder(post(quantize_through(quantizer, z)[0]))
    loss = (y - target).abs().mean()
    save("multislice_gradients", {**tensors_of(decoder, "decoder."),
                                  **tensors_of(quantizer, "quantize."),
                                  **tensors_of(post, "post_quant_conv."), "in.z": z.detach(),
                                  "in.target": target, "out.y": y.detach(),
                                  "out.loss": loss.detach()[None],
                                  **gradients(loss, decoder=decoder, post_quant_conv=post, z=z)},
         groups=4)


def make_discriminator():
    seed("discriminator")
    network = randomize(Discriminator(width=6))
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    weights = {key: value.clone() for key, value in tensors_of(network, "").items()
               if "num_batches" not in key}
    real, fake = latent(3, 1, 18, 26), latent(3, 1, 18, 26).requires_grad_()
    on_real, on_fake = network(real), network(fake.detach())
    loss = 0.5 * ((1 - on_real).relu().mean() + (1 + on_fake).relu().mean())
    after = {f"out.{key}": value.clone() for key, value in network.state_dict().items()
             if "running" in key}
    generator_loss = -network(fake).mean()
    save("discriminator", {**weights, "in.real": real, "in.fake": fake.detach(),
                           "out.logits_real": on_real.detach(), "out.logits_fake": on_fake.detach(),
                           "out.d_loss": loss.detach()[None],
                           "out.g_loss": generator_loss.detach()[None], **after,
                           **gradients(loss, **{"": network}),
                           **gradients(generator_loss, fake=fake)})


def make_lpips():
    seed("lpips")
    network = randomize(LPIPS(widths=(6, 8, 10, 7, 9))).eval()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.startswith("lin"):
                value.abs_()
            elif value.dim() == 4:
                value *= 2.5  # so that features do not fade
    x, y = latent(2, 1, 34, 21), latent(2, 1, 34, 21).requires_grad_()
    loss = network(x, y)
    save("lpips", {**tensors_of(network, ""), "in.x": x, "in.y": y.detach(),
                   "out.distance": loss.detach()[None], **gradients(loss, y=y)})


if __name__ == "__main__":
    make_unet("unet2d_gradients", 2, (2, 8, 8, 12), [3, 701], width=8, mult=(1, 2),
              attention=(2,), c_in=8, blocks=1, heads=2, groups=4)
    make_unet("unet3d_gradients", 3, (2, 4, 4, 8, 4), [977, 40], width=6, mult=(1, 2),
              attention=(1, 2), c_in=4, blocks=1, heads=3, groups=3)
    make_nhae()
    make_multislice()
    make_discriminator()
    make_lpips()
