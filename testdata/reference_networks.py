"""The networks of CA-LDM in PyTorch, written for reading, not for speed.

Module names give the authors' state-dict keys. Arrays are (N, C, [D,] H, W). make-goldens.py makes
test data with these; nothing else in the project needs them.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn


def conv(dims, *args, **kwargs):
    return (nn.Conv2d if dims == 2 else nn.Conv3d)(*args, **kwargs)


# --- Diffusion U-Nets (ADM) ---------------------------------------------------------------------

class UpDown(nn.Module):
    """Nearest x2, mean of 2, or nothing."""

    def __init__(self, dims, direction):
        super().__init__()
        self.dims, self.direction = dims, direction

    def forward(self, x):
        if self.direction == "up":
            return F.interpolate(x, scale_factor=2, mode="nearest")
        if self.direction == "down":
            return (F.avg_pool2d if self.dims == 2 else F.avg_pool3d)(x, 2)
        return x


class UNetBlock(nn.Module):
    def __init__(self, dims, groups, c_in, c_out, c_emb, direction=None):
        super().__init__()
        self.resample = UpDown(dims, direction)
        self.in_layers = nn.Sequential(nn.GroupNorm(groups, c_in, eps=1e-5), nn.SiLU(),
                                       conv(dims, c_in, c_out, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(c_emb, 2 * c_out))
        self.out_layers = nn.Sequential(nn.GroupNorm(groups, c_out, eps=1e-5), nn.SiLU(),
                                        nn.Identity(), conv(dims, c_out, c_out, 3, padding=1))
        self.skip_connection = nn.Identity() if c_in == c_out else conv(dims, c_in, c_out, 1)

    def forward(self, x, emb):
        norm, silu, conv_in = self.in_layers
        h = conv_in(self.resample(silu(norm(x))))
        scale, shift = self.emb_layers(emb).chunk(2, dim=1)
        one_each = (...,) + (None,) * (x.dim() - 2)
        norm, silu, _, conv_out = self.out_layers
        h = conv_out(silu(norm(h) * (1 + scale[one_each]) + shift[one_each]))
        return self.skip_connection(self.resample(x)) + h


class UNetAttention(nn.Module):
    def __init__(self, groups, heads, c):
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, c, eps=1e-5)
        self.qkv = nn.Conv1d(c, 3 * c, 1)
        self.proj_out = nn.Conv1d(c, c, 1)

    def forward(self, x, emb):
        tokens = x.flatten(2)
        n, c, length = tokens.shape
        width = c // self.heads
        qkv = self.qkv(self.norm(tokens)).reshape(n, self.heads, 3, width, length)
        q, k, v = qkv.unbind(2)
        scale = width ** -0.25
        weight = torch.einsum("nhct,nhcs->nhts", q * scale, k * scale).softmax(dim=-1)
        h = torch.einsum("nhts,nhcs->nhct", weight, v).reshape(n, c, length)
        return (tokens + self.proj_out(h)).reshape(x.shape)


class Entry(nn.Sequential):
    """One entry of input_blocks or output_blocks."""

    def forward(self, x, emb):
        for layer in self:
            x = layer(x, emb) if isinstance(layer, (UNetBlock, UNetAttention)) else layer(x)
        return x


class UNet(nn.Module):
    def __init__(self, dims, width, mult, attention, c_in, c_out=4, blocks=2, heads=8, groups=32):
        super().__init__()
        self.width = width
        c_emb = 4 * width
        self.time_embed = nn.Sequential(nn.Linear(width, c_emb), nn.SiLU(),
                                        nn.Linear(c_emb, c_emb))

        def block(*args):
            return UNetBlock(dims, groups, *args[:2], c_emb, *args[2:])

        def attend(c, downsampling):
            return [UNetAttention(groups, heads, c)] if downsampling in attention else []

        c, downsampling, skips = width, 1, [width]
        self.input_blocks = nn.ModuleList([Entry(conv(dims, c_in, width, 3, padding=1))])
        for level, m in enumerate(mult):
            for _ in range(blocks):
                self.input_blocks.append(Entry(block(c, m * width),
                                               *attend(m * width, downsampling)))
                c = m * width
                skips.append(c)
            if level + 1 < len(mult):
                self.input_blocks.append(Entry(block(c, c, "down")))
                downsampling *= 2
                skips.append(c)
        self.middle_block = Entry(block(c, c), UNetAttention(groups, heads, c), block(c, c))
        self.output_blocks = nn.ModuleList()
        for level, m in reversed(list(enumerate(mult))):
            for i in range(blocks + 1):
                entry = [block(c + skips.pop(), m * width), *attend(m * width, downsampling)]
                c = m * width
                if level > 0 and i == blocks:
                    entry.append(block(c, c, "up"))
                    downsampling //= 2
                self.output_blocks.append(Entry(*entry))
        self.out = nn.Sequential(nn.GroupNorm(groups, c, eps=1e-5), nn.SiLU(),
                                 conv(dims, c, c_out, 3, padding=1))

    def forward(self, x, t):
        emb = self.time_embed(timestep_embedding(t, self.width).to(x.dtype))
        skips, h = [], x
        for entry in self.input_blocks:
            h = entry(h, emb)
            skips.append(h)
        h = self.middle_block(h, emb)
        for entry in self.output_blocks:
            h = entry(torch.cat([h, skips.pop()], dim=1), emb)
        return self.out(h)


def timestep_embedding(t, width):
    """[cos(t*f), sin(t*f)]; angles are rounded to float32 as the authors' are, because at t = 1000
    that moves them by up to 3e-5."""
    half = width // 2
    f = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)
    angle = (t.float()[:, None] * f).double()
    return torch.cat([angle.cos(), angle.sin()], dim=1)


# --- 3-D encoder and latent super-resolution ----------------------------------------------------

def pad_same(x, kernel, stride):
    """Replicate padding by kernel - stride, the larger half in front."""
    pad = []
    for s in reversed(stride):
        total = kernel - s
        pad += [total // 2 + total % 2, total // 2]
    return F.pad(x, pad, mode="replicate")


class SameConv3d(nn.Module):
    def __init__(self, c_in, c_out, kernel, stride=(1, 1, 1)):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv = nn.Conv3d(c_in, c_out, kernel, stride=stride)

    def forward(self, x):
        return self.conv(pad_same(x, self.kernel, self.stride))


class SameConvTranspose3d(nn.Module):
    def __init__(self, c, kernel=4, stride=(2, 1, 1)):
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.convt = nn.ConvTranspose3d(c, c, kernel, stride=stride, padding=kernel - 1)

    def forward(self, x):
        return self.convt(pad_same(x, self.kernel, self.stride))


class Block3d(nn.Module):
    def __init__(self, c, groups):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, c, eps=1e-6)
        self.conv1 = SameConv3d(c, c, 3)
        self.norm2 = nn.GroupNorm(groups, c, eps=1e-6)
        self.conv2 = SameConv3d(c, c, 3)

    def forward(self, x):
        return x + self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))


class Encoder3D(nn.Module):
    def __init__(self, n=64, levels=2, channels=4, groups=32):
        super().__init__()
        self.conv_first = SameConv3d(1, n, 3)
        self.conv_blocks = nn.ModuleList()
        for i in range(levels):
            self.conv_blocks.append(nn.ModuleDict({
                "down": SameConv3d(n * 2 ** i, n * 2 ** (i + 1), 4, (2, 2, 2)),
                "res": Block3d(n * 2 ** (i + 1), groups)}))
        c = n * 2 ** levels
        self.final_block = nn.Sequential(nn.GroupNorm(groups, c, eps=1e-6), nn.SiLU(),
                                         nn.Conv3d(c, channels, 3, padding=1))

    def forward(self, x):
        h = self.conv_first(x)
        for block in self.conv_blocks:
            h = block["res"](block["down"](h))
        return self.final_block(h)


class SR3D(nn.Module):
    def __init__(self, levels=3, channels=4):
        super().__init__()
        self.final_block = nn.Sequential(nn.GroupNorm(4, channels, eps=1e-6))
        self.conv_blocks = nn.ModuleList(nn.ModuleDict({
            "up": SameConvTranspose3d(channels), "res1": Block3d(channels, 4)})
            for _ in range(levels))

    def forward(self, z):
        h = F.silu(self.final_block(z))
        for block in self.conv_blocks:
            h = block["res1"](block["up"](h))
        return h


class Quantizer(nn.Module):
    def __init__(self, codes=16384, channels=4):
        super().__init__()
        self.embedding = nn.Embedding(codes, channels)

    def forward(self, z):
        """The nearest codes and their numbers, one a pixel in the order (N, [D,] H, W)."""
        pixels = z.movedim(1, -1)
        distance = (pixels.reshape(-1, 1, z.shape[1]) - self.embedding.weight).square().sum(-1)
        nearest = distance == distance.min(dim=1, keepdim=True).values
        codes = nearest.int().argmax(dim=1)  # the first of equals
        return self.embedding(codes).reshape(pixels.shape).movedim(-1, 1), codes


# --- 2-D encoder and decoder, multi-slice decoder -----------------------------------------------

def mix_slices(x, mix_factor, conv3d, norm3d=None):
    """A 3-D adaptor over the slices of a window, which are the batch."""
    window = x.movedim(0, 1)[None]
    h = F.silu(norm3d(window)) if norm3d else window
    alpha = torch.sigmoid(mix_factor)
    return (alpha * conv3d(h) + (1 - alpha) * window)[0].movedim(1, 0)


class Block2d(nn.Module):
    def __init__(self, c_in, c_out, groups, adaptor=False):
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, c_in, eps=1e-6)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, c_out, eps=1e-6)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        if c_in != c_out:
            self.nin_shortcut = nn.Conv2d(c_in, c_out, 1)
        self.adaptor = adaptor
        if adaptor:
            self.norm3d = nn.GroupNorm(groups, c_out, eps=1e-6)
            self.conv3d = nn.Conv3d(c_out, c_out, 3, padding=1)
            self.mix_factor_3d = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        h = h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)
        return mix_slices(h, self.mix_factor_3d, self.conv3d, self.norm3d) if self.adaptor else h


class Attention2d(nn.Module):
    def __init__(self, c, groups):
        super().__init__()
        self.norm = nn.GroupNorm(groups, c, eps=1e-6)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(c, c, 1) for _ in range(4))

    def forward(self, x):
        h = self.norm(x)
        q, k, v = (f(h).flatten(2) for f in (self.q, self.k, self.v))
        weight = (torch.einsum("nct,ncs->nts", q, k) * x.shape[1] ** -0.5).softmax(dim=-1)
        return x + self.proj_out(torch.einsum("nts,ncs->nct", weight, v).reshape(x.shape))


def middle(c, groups, adaptor=False):
    return nn.ModuleDict({"block_1": Block2d(c, c, groups, adaptor),
                          "attn_1": Attention2d(c, groups),
                          "block_2": Block2d(c, c, groups, adaptor)})


def run_middle(mid, h):
    return mid["block_2"](mid["attn_1"](mid["block_1"](h)))


class Encoder2D(nn.Module):
    def __init__(self, ch=128, mult=(1, 2, 4, 4), blocks=2, channels=4, groups=32):
        super().__init__()
        self.conv_in = nn.Conv2d(1, ch, 3, padding=1)
        self.down = nn.ModuleList()
        c = ch
        for level, m in enumerate(mult):
            parts = {"block": nn.ModuleList()}
            for _ in range(blocks):
                parts["block"].append(Block2d(c, m * ch, groups))
                c = m * ch
            if level + 1 < len(mult):
                parts["downsample"] = nn.ModuleDict({"conv": nn.Conv2d(c, c, 3, stride=2)})
            self.down.append(nn.ModuleDict(parts))
        self.mid = middle(c, groups)
        self.norm_out = nn.GroupNorm(groups, c, eps=1e-6)
        self.conv_out = nn.Conv2d(c, channels, 3, padding=1)

    def features(self, x):
        """The last hidden map."""
        h = self.conv_in(x)
        for level in self.down:
            for block in level["block"]:
                h = block(h)
            if "downsample" in level:
                h = level["downsample"]["conv"](F.pad(h, (0, 1, 0, 1)))
        return F.silu(self.norm_out(run_middle(self.mid, h)))

    def forward(self, x):
        return self.conv_out(self.features(x))


class Decoder2D(nn.Module):
    """With adaptors it is the multi-slice decoder, and the batch is a window of slices."""

    def __init__(self, ch=128, mult=(1, 2, 4, 4), blocks=2, channels=4, groups=32, adaptors=False):
        super().__init__()
        c = ch * mult[-1]
        self.adaptors = adaptors
        self.conv_in = nn.Conv2d(channels, c, 3, padding=1)
        self.mid = middle(c, groups, adaptors)
        levels = []
        for level, m in reversed(list(enumerate(mult))):
            parts = {"block": nn.ModuleList()}
            for _ in range(blocks + 1):
                parts["block"].append(Block2d(c, m * ch, groups, adaptors))
                c = m * ch
            if level > 0:
                parts["upsample"] = nn.ModuleDict({"conv": nn.Conv2d(c, c, 3, padding=1)})
            levels.insert(0, nn.ModuleDict(parts))
        self.up = nn.ModuleList(levels)
        self.norm_out = nn.GroupNorm(groups, c, eps=1e-6)
        self.conv_out = nn.Conv2d(c, 1, 3, padding=1)
        if adaptors:
            self.conv_in_3d = nn.Conv3d(ch * mult[-1], ch * mult[-1], 3, padding=1)
            self.conv_out_3d = nn.Conv3d(1, 1, 3, padding=1)
            self.mix_factor_3d_in = nn.Parameter(torch.zeros(1))
            self.mix_factor_3d_out = nn.Parameter(torch.zeros(1))

    def forward(self, z):
        h = self.conv_in(z)
        if self.adaptors:
            h = mix_slices(h, self.mix_factor_3d_in, self.conv_in_3d)
        h = run_middle(self.mid, h)
        for level in reversed(self.up):
            for block in level["block"]:
                h = block(h)
            if "upsample" in level:
                h = level["upsample"]["conv"](F.interpolate(h, scale_factor=2, mode="nearest"))
        y = self.conv_out(F.silu(self.norm_out(h)))
        return mix_slices(y, self.mix_factor_3d_out, self.conv_out_3d) if self.adaptors else y


def decode_windows(decoder, z, k, hop=1):
    """z (D, C, H, W) -> (D, H, W): windows start at min(i*hop, D-k); a slice comes from the window
    with the nearest centre, the earlier one in a tie."""
    depth = z.shape[0]
    starts = sorted({min(i * hop, depth - k) for i in range(depth)})
    windows = {s: decoder(z[s:s + k])[:, 0] for s in starts}
    slices = []
    for d in range(depth):
        start = min((s for s in starts if s <= d < s + k),
                    key=lambda s: (abs(2 * d - (2 * s + k - 1)), s))
        slices.append(windows[start][d - start])
    return torch.stack(slices)


def thumbnail(volume):
    """u8 volume (D, H, W) -> (1, 1, D/2, H/2, W/2) in [-1, 1], nearest neighbour."""
    x = volume.double() / 127.5 - 1
    for axis, size in enumerate(volume.shape):
        index = torch.arange(size // 2) * size // (size // 2)
        x = x.index_select(axis, index)
    return x[None, None]
