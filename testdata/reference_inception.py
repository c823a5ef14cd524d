"""Inception-v3 as the Frechet inception distance reads it, in PyTorch, written for reading.

Module names are torchvision's, as in the weights pt_inception-2015-12-05. What differs from
torchvision's network are the pools: means leave the padding out, and Mixed_7c takes a maximum.
`width` is what the first convolution makes; 32 is the published network.
"""
import torch
import torch.nn.functional as F
from torch import nn

SIZE = 299


class Unit(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, into, out, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(into, out, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)))


def mean(x):
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def maximum(x):
    return F.max_pool2d(x, 3, 1, 1)


def halved(x):
    return F.max_pool2d(x, 3, 2)


class Block(nn.Module):
    """Branches of units one after another: name: (channels, kernel, ...)."""

    def __init__(self, into, **units):
        super().__init__()
        for name, (source, out, kernel, *stride) in units.items():
            stride = stride[0] if stride else 1
            kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
            padding = tuple(k // 2 for k in kernel) if stride == 1 else 0
            self.add_module(name, Unit(source or into, out, kernel, stride, padding))

    def run(self, x, *names):
        for name in names:
            x = getattr(self, name)(x)
        return x


class BlockA(Block):
    def __init__(self, into, pooled, s):
        super().__init__(into, branch1x1=(0, s(64), 1), branch5x5_1=(0, s(48), 1),
                         branch5x5_2=(s(48), s(64), 5), branch3x3dbl_1=(0, s(64), 1),
                         branch3x3dbl_2=(s(64), s(96), 3), branch3x3dbl_3=(s(96), s(96), 3),
                         branch_pool=(0, pooled, 1))

    def forward(self, x):
        return torch.cat([self.branch1x1(x), self.run(x, "branch5x5_1", "branch5x5_2"),
                          self.run(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
                          self.branch_pool(mean(x))], 1)


class BlockB(Block):
    def __init__(self, into, s):
        super().__init__(into, branch3x3=(0, s(384), 3, 2), branch3x3dbl_1=(0, s(64), 1),
                         branch3x3dbl_2=(s(64), s(96), 3), branch3x3dbl_3=(s(96), s(96), 3, 2))

    def forward(self, x):
        return torch.cat([self.branch3x3(x), self.run(x, "branch3x3dbl_1", "branch3x3dbl_2",
                                                      "branch3x3dbl_3"), halved(x)], 1)


class BlockC(Block):
    def __init__(self, into, c, s):
        super().__init__(into, branch1x1=(0, s(192), 1), branch7x7_1=(0, c, 1),
                         branch7x7_2=(c, c, (1, 7)), branch7x7_3=(c, s(192), (7, 1)),
                         branch7x7dbl_1=(0, c, 1), branch7x7dbl_2=(c, c, (7, 1)),
                         branch7x7dbl_3=(c, c, (1, 7)), branch7x7dbl_4=(c, c, (7, 1)),
                         branch7x7dbl_5=(c, s(192), (1, 7)), branch_pool=(0, s(192), 1))

    def forward(self, x):
        return torch.cat([self.branch1x1(x),
                          self.run(x, "branch7x7_1", "branch7x7_2", "branch7x7_3"),
                          self.run(x, *(f"branch7x7dbl_{i}" for i in range(1, 6))),
                          self.branch_pool(mean(x))], 1)


class BlockD(Block):
    def __init__(self, into, s):
        super().__init__(into, branch3x3_1=(0, s(192), 1), branch3x3_2=(s(192), s(320), 3, 2),
                         branch7x7x3_1=(0, s(192), 1), branch7x7x3_2=(s(192), s(192), (1, 7)),
                         branch7x7x3_3=(s(192), s(192), (7, 1)),
                         branch7x7x3_4=(s(192), s(192), 3, 2))

    def forward(self, x):
        return torch.cat([self.run(x, "branch3x3_1", "branch3x3_2"),
                          self.run(x, *(f"branch7x7x3_{i}" for i in range(1, 5))), halved(x)], 1)


class BlockE(Block):
    def __init__(self, into, pool, s):
        super().__init__(into, branch1x1=(0, s(320), 1), branch3x3_1=(0, s(384), 1),
                         branch3x3_2a=(s(384), s(384), (1, 3)),
                         branch3x3_2b=(s(384), s(384), (3, 1)), branch3x3dbl_1=(0, s(448), 1),
                         branch3x3dbl_2=(s(448), s(384), 3),
                         branch3x3dbl_3a=(s(384), s(384), (1, 3)),
                         branch3x3dbl_3b=(s(384), s(384), (3, 1)), branch_pool=(0, s(192), 1))
        self.pool = pool

    def forward(self, x):
        a, b = self.branch3x3_1(x), self.run(x, "branch3x3dbl_1", "branch3x3dbl_2")
        return torch.cat([self.branch1x1(x), self.branch3x3_2a(a), self.branch3x3_2b(a),
                          self.branch3x3dbl_3a(b), self.branch3x3dbl_3b(b),
                          self.branch_pool(self.pool(x))], 1)


class Inception(nn.Module):
    """Grey slices (n, h, w) in [-1, 1] -> pool3 (n, 2048)."""

    def __init__(self, width=32):
        super().__init__()

        def s(channels):
            return channels * width // 32
        self.Conv2d_1a_3x3 = Unit(3, s(32), 3, 2)
        self.Conv2d_2a_3x3 = Unit(s(32), s(32), 3)
        self.Conv2d_2b_3x3 = Unit(s(32), s(64), 3, padding=1)
        self.Conv2d_3b_1x1 = Unit(s(64), s(80), 1)
        self.Conv2d_4a_3x3 = Unit(s(80), s(192), 3)
        self.Mixed_5b = BlockA(s(192), s(32), s)
        self.Mixed_5c = BlockA(s(256), s(64), s)
        self.Mixed_5d = BlockA(s(288), s(64), s)
        self.Mixed_6a = BlockB(s(288), s)
        self.Mixed_6b = BlockC(s(768), s(128), s)
        self.Mixed_6c = BlockC(s(768), s(160), s)
        self.Mixed_6d = BlockC(s(768), s(160), s)
        self.Mixed_6e = BlockC(s(768), s(192), s)
        self.Mixed_7a = BlockD(s(768), s)
        self.Mixed_7b = BlockE(s(1280), mean, s)
        self.Mixed_7c = BlockE(s(2048), maximum, s)

    def forward(self, slices):
        x = F.interpolate(slices[:, None], (SIZE, SIZE), mode="bilinear", align_corners=False)
        x = x.expand(-1, 3, -1, -1)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = halved(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(halved(x))))
        for name, block in self.named_children():
            if name.startswith("Mixed"):
                x = block(x)
        return x.mean((2, 3))
