"""What training adds to the networks of reference_networks.py, in PyTorch, written for reading:
quantizers that let gradients through, the discriminator, LPIPS.
"""
import torch
import torch.nn.functional as F
from torch import nn


def quantize_through(quantizer, z):
    """The nearest codes with straight-through gradients, and the loss of the authors' form."""
    zq, _ = quantizer(z)
    loss = (zq.detach() - z).square().mean() + 0.25 * (zq - z.detach()).square().mean()
    return z + (zq - z).detach(), loss


class Discriminator(nn.Module):
    """PatchGAN: 4x4 convolutions, padding 1, all but the last two of stride 2."""

    def __init__(self, width=64, layers=2, channels=1):
        super().__init__()
        parts = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for i in range(1, layers + 1):
            stride = 2 if i < layers else 1
            parts += [nn.Conv2d(width * 2 ** (i - 1), width * 2 ** i, 4, stride, 1, bias=False),
                      nn.BatchNorm2d(width * 2 ** i), nn.LeakyReLU(0.2)]
        self.main = nn.Sequential(*parts, nn.Conv2d(width * 2 ** layers, 1, 4, 1, 1))

    def forward(self, x):
        return self.main(x)


class VGG16(nn.Module):
    """The convolutions of VGG-16, as five stages that LPIPS compares."""

    def __init__(self, widths=(64, 128, 256, 512, 512)):
        super().__init__()
        index, c = 0, 3
        for stage, (width, count) in enumerate(zip(widths, (2, 2, 3, 3, 3))):
            parts = nn.Sequential()
            if stage:
                parts.add_module(str(index), nn.MaxPool2d(2))
                index += 1
            for _ in range(count):
                parts.add_module(str(index), nn.Conv2d(c, width, 3, padding=1))
                parts.add_module(str(index + 1), nn.ReLU())
                index, c = index + 2, width
            self.add_module(f"slice{stage + 1}", parts)

    def forward(self, x):
        features = []
        for stage in self.children():
            x = stage(x)
            features.append(x)
        return features


class LPIPS(nn.Module):
    def __init__(self, widths=(64, 128, 256, 512, 512)):
        super().__init__()
        self.net = VGG16(widths)
        for i, width in enumerate(widths):
            self.add_module(f"lin{i}", nn.ModuleDict({"model": nn.Sequential(
                nn.Dropout(), nn.Conv2d(width, 1, 1, bias=False))}))

    def forward(self, x, y):
        mean = torch.tensor([-0.030, -0.088, -0.188]).double()[:, None, None]
        deviation = torch.tensor([0.458, 0.448, 0.450]).double()[:, None, None]
        total = 0
        for i, (a, b) in enumerate(zip(*(self.net((v.expand(-1, 3, -1, -1) - mean) / deviation)
                                         for v in (x, y)))):
            a, b = (v / (v.square().sum(1, keepdim=True).sqrt() + 1e-10) for v in (a, b))
            weight = getattr(self, f"lin{i}")["model"][1].weight
            total = total + F.conv2d((a - b).square(), weight).mean()
        return total
