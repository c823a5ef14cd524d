#!/usr/bin/env python3
"""The values that tests/unit/test_measures.c compares with, by programs of others.

    python3 testdata/check-measures.py

Made with scikit-image 0.26.0, pytorch-msssim 1.0.0 and torchmetrics 1.9.0 on PyTorch 2.15, in
float64. torchmetrics' own MS-SSIM takes the last scale's mean over mirrored borders too, unlike the
paper of Wang et al. 2003, so only its map of SSIM without them is used: for sides that are no
multiples of 16, where pytorch-msssim pads with zeros.
"""
import numpy as np
import pytorch_msssim
import skimage.metrics
import torch
import torchmetrics.functional.image as measures

SHAPE = (2, 181, 187)
EVEN = (176, 176)  # rows and columns, from the first ones
BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def volumes():
    """Waves of integers, and the same with noise: what the test makes in C."""
    d, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    smooth = 3 * np.abs((x + 2 * d) % 64 - 32) + 4 * np.abs(y % 48 - 24)
    index = np.arange(smooth.size, dtype=np.uint32).reshape(SHAPE)
    noise = ((index * np.uint32(1103515245) + np.uint32(12345)) >> 16) % 61
    return (smooth + 20).astype(np.uint8), (smooth + noise).astype(np.uint8)


def pictures(volume):
    return torch.from_numpy(volume.astype(np.float64))[:, None]


def ssim_maps(p, q):
    """SSIM and the contrast-structure term where the window is inside."""
    mean, full = measures.structural_similarity_index_measure(
        p, q, data_range=255.0, return_full_image=True)
    _, contrast = measures.structural_similarity_index_measure(
        p, q, data_range=255.0, return_contrast_sensitivity=True)
    return full[..., 5:-5, 5:-5].mean().item(), contrast.mean().item()


def ms_ssim(p, q, betas):
    product = 1.0
    for scale, beta in enumerate(betas):
        ssim, contrast = ssim_maps(p, q)
        product *= (ssim if scale == len(betas) - 1 else contrast) ** beta
        p, q = (torch.nn.functional.avg_pool2d(x, 2) for x in (p, q))
    return product


def window():
    """Of float64; pytorch-msssim's own is of float32."""
    weight = np.exp(-((np.arange(11) - 5) ** 2) / (2 * 1.5 ** 2))
    return torch.from_numpy(weight / weight.sum())[None, None, None]


def main():
    a, b = volumes()
    p, q = pictures(a), pictures(b)
    print("psnr", skimage.metrics.peak_signal_noise_ratio(a, b, data_range=255))
    print("ssim", np.mean([skimage.metrics.structural_similarity(
        x.astype(np.float64), y.astype(np.float64), gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False, data_range=255) for x, y in zip(a, b)]))
    even = (slice(None), slice(None), slice(0, EVEN[0]), slice(0, EVEN[1]))
    print("ms-ssim of", EVEN, pytorch_msssim.ms_ssim(
        p[even], q[even], data_range=255, win=window()).item())
    three = tuple(np.array(BETAS[:3]) / sum(BETAS[:3]))
    for name, betas in (("ms-ssim", BETAS), ("ms-ssim-3-scales", three)):
        print(name, np.mean([ms_ssim(p[i:i + 1], q[i:i + 1], betas) for i in range(len(p))]))
    # Of the slices: what lies along D is added below.
    along_slices = measures.total_variation(q / 255, reduction="none").sum().item()
    x = b / 255
    difference = [np.zeros_like(x) for axis in range(3)]
    for axis in range(3):
        end = [slice(None)] * 3
        end[axis] = slice(0, -1)
        difference[axis][tuple(end)] = np.diff(x, axis=axis)
    anisotropic = along_slices + np.abs(difference[0]).sum()
    isotropic = np.sqrt(sum(part ** 2 for part in difference)).sum()
    print("tv", np.sqrt(sum((part ** 2).sum() for part in difference)))
    print("tv-anisotropic", anisotropic, "mean", anisotropic / x.size)
    print("tv-isotropic", isotropic, "mean", isotropic / x.size)


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    np.set_printoptions(precision=17)
    main()
