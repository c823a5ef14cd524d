#!/usr/bin/env python3
"""Make testdata/goldens/metrics, similarity and frechet.safetensors (needs NumPy).

Random inputs of uneven sizes; results in float64, written down by other formulas than the ones in
lib/metrics where there is a choice. The files are the same for every run.
"""
import json
import pathlib
import struct

import numpy as np

GOLDENS = pathlib.Path(__file__).resolve().parent / "goldens"
DTYPES = {"float64": "F64", "float32": "F32", "uint8": "U8", "int64": "I64"}


def save(name, tensors, **metadata):
    header, data = {"__metadata__": metadata}, b""
    for key, value in sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0])):
        begin = len(data)
        data += np.ascontiguousarray(value).tobytes()
        header[key] = {"dtype": DTYPES[str(value.dtype)], "shape": list(value.shape),
                       "data_offsets": [begin, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 64 + 56)
    (GOLDENS / f"{name}.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def scalar(value):
    return np.array([value], np.float64)


def total_variation(volume):
    """volume in [0,1]."""
    return np.sqrt(sum((np.diff(volume, axis=axis) ** 2).sum() for axis in range(3)))


def overlaps(a, b, classes):
    dice, iou = [], []
    for c in classes:
        both, either = ((a == c) & (b == c)).sum(), ((a == c) | (b == c)).sum()
        iou.append(both / either)
        dice.append(2 * both / ((a == c).sum() + (b == c).sum()))
    return np.array(dice), np.array(iou)


def ssim(a, b):
    """Wang et al. 2004 of one slice in 0...255, window by window with the full 11x11 weights."""
    offset = np.arange(11) - 5
    weight = np.exp(-(offset[:, None] ** 2 + offset ** 2) / (2 * 1.5 ** 2))
    weight /= weight.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y:y + 11, x:x + 11], b[y:y + 11, x:x + 11]
            mean_p, mean_q = (weight * p).sum(), (weight * q).sum()
            variances = (weight * (p - mean_p) ** 2).sum() + (weight * (q - mean_q) ** 2).sum()
            covariance = (weight * (p - mean_p) * (q - mean_q)).sum()
            values.append((2 * mean_p * mean_q + c1) * (2 * covariance + c2)
                          / ((mean_p ** 2 + mean_q ** 2 + c1) * (variances + c2)))
    return np.mean(values)


def make_metrics(random):
    volume = random.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    mask_a = (random.random((3, 9, 11)) < 0.4).astype(np.uint8)
    mask_b = np.where(random.random(mask_a.shape) < 0.2, 1 - mask_a, mask_a).astype(np.uint8)
    surfaces_a = random.uniform(0, 400, (3, 4, 13)).astype(np.float32)
    surfaces_b = (surfaces_a + random.normal(0, 3, surfaces_a.shape)).astype(np.float32)
    dice, iou = overlaps(mask_a, mask_b, [1])
    distance = np.abs(surfaces_a.astype(np.float64) - surfaces_b)
    features_a = random.normal(0, 3, (40, 6)).astype(np.float32)
    features_b = random.normal(1, 2, (31, 6)).astype(np.float32)
    save("metrics", {
        "in.features_a": features_a, "in.features_b": features_b, "out.frechet_distance":
        scalar(frechet(features_a.astype(np.float64), features_b.astype(np.float64))),
        "in.volume": volume, "out.total_variation": scalar(total_variation(volume / 255)),
        "in.mask_a": mask_a, "in.mask_b": mask_b, "out.dice": dice, "out.iou": iou,
        "in.surfaces_a": surfaces_a, "in.surfaces_b": surfaces_b,
        "out.mad_per_surface": distance.mean((1, 2)), "out.mad": scalar(distance.mean())})


def make_similarity(random):
    # A smooth volume and a noisy one, so that SSIM is far from 0 and from 1.
    d, h, w = np.mgrid[0:3, 0:14, 0:25]
    smooth = 127 + 90 * np.sin(0.5 * h + 0.2 * d) * np.cos(0.3 * w)
    a = np.round(smooth).astype(np.uint8)
    b = np.clip(np.round(smooth + random.normal(0, 20, a.shape)), 0, 255).astype(np.uint8)
    f = (smooth / 127.5 - 1 + random.normal(0, 0.1, a.shape)).astype(np.float32)
    grays = 127.5 * (f.astype(np.float64) + 1)
    labels_a = random.integers(0, 4, (4, 6, 5)).astype(np.uint8)
    labels_b = np.where(random.random(labels_a.shape) < 0.3, 255, labels_a).astype(np.uint8)
    classes = [0, 1, 2, 3, 255]
    dice, iou = overlaps(labels_a, labels_b, classes)
    save("similarity", {
        "in.volume_a": a, "in.volume_b": b, "in.volume_f": f,
        "out.psnr_ab": scalar(10 * np.log10(255 ** 2 / np.mean((a - b.astype(np.float64)) ** 2))),
        "out.psnr_af": scalar(10 * np.log10(255 ** 2 / np.mean((a - grays) ** 2))),
        "out.ssim_ab": scalar(np.mean([ssim(*pair) for pair in zip(a / 1.0, b / 1.0)])),
        "out.ssim_af": scalar(np.mean([ssim(*pair) for pair in zip(a / 1.0, grays)])),
        "out.total_variation_f": scalar(total_variation((f.astype(np.float64) + 1) / 2)),
        "in.labels_a": labels_a, "in.labels_b": labels_b, "in.classes": np.array(classes),
        "out.dice": dice, "out.iou": iou},
        note="u1 volumes are grays, f4 ones 127.5·(x + 1), not clamped")


def frechet(a, b):
    """Samples are factors of covariances: tr((cov_a cov_b)^1/2) is the sum of the singular values of
    A B^T / sqrt((n-1) (m-1)) for the centred samples A, B. The eigenvalues of the product, which
    SciPy's sqrtm comes down to, give the same, to the root of rounding where it is singular."""
    offset = a.mean(0) - b.mean(0)
    centred_a, centred_b = a - a.mean(0), b - b.mean(0)
    root = (np.linalg.svd(centred_a @ centred_b.T, compute_uv=False).sum()
            / np.sqrt((len(a) - 1) * (len(b) - 1)))
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    distance = offset @ offset + np.trace(cov_a) + np.trace(cov_b) - 2 * root
    eigenvalues = np.linalg.eigvals(cov_a @ cov_b)
    other = distance + 2 * root - 2 * np.sqrt(eigenvalues.astype(complex)).real.sum()
    assert abs(other - distance) < 1e-6 * distance
    return distance


def make_frechet(random):
    # Features of unlike size and correlated; `few` are fewer than features.
    mix_a, mix_b = (random.normal(size=(12, 12)) * np.geomspace(0.01, 10, 12) for _ in range(2))
    a = random.normal(size=(40, 12)) @ mix_a + random.normal(size=12)
    b = random.normal(size=(57, 12)) @ mix_b
    few = random.normal(size=(7, 12)) @ mix_a
    save("frechet", {"in.a": a, "in.b": b, "in.few": few, "out.distance_ab": scalar(frechet(a, b)),
                     "out.distance_a_few": scalar(frechet(a, few)),
                     "out.mean_a": a.mean(0), "out.covariance_a": np.cov(a, rowvar=False)})


if __name__ == "__main__":
    make_metrics(np.random.default_rng(1))
    make_similarity(np.random.default_rng(2))
    make_frechet(np.random.default_rng(3))
