#!/usr/bin/env python3
"""Measure how OCT volumes look: measure-scans.py [options] NAME=PATH...

A PATH is an NPY volume (D,H,W) u1 or a folder of 8-bit PNG slices. Prints a Markdown table with a
row for each measure and a column for each NAME: the lowest and the highest value among its paths.
A-scans are aligned at their brightest row, the pigment epithelium or the ellipsoid zone. Voxels of
gray 250 and more (padding of some scanners) do not count. Needs numpy, and Pillow for PNG.
"""
import argparse
import glob
import os

import numpy as np

PROFILE = (-400, -240, -160, -120, -80, -40, -20, 0, 20, 40, 80, 120, 160, 240, 320,
           400, 480)  # micrometres below the brightest row
MOST_SLICES = 40
PATCH_ROWS, PATCH_COLUMNS = 12, 16


def slices(path):
    """Slices (H, W) of one path, at most MOST_SLICES, evenly spaced."""
    if os.path.isdir(path):
        from PIL import Image
        files = sorted(glob.glob(os.path.join(path, "*.png")))
        step = max(1, len(files) // MOST_SLICES)
        return [np.asarray(Image.open(file)) for file in files[::step]]
    volume = np.load(path, mmap_mode="r")
    return list(volume[::max(1, len(volume) // MOST_SLICES)])


def box(values, size, axis):
    """Running mean along an axis, of the same length."""
    kernel = np.ones(size) / size
    return np.apply_along_axis(lambda line: np.convolve(line, kernel, "same"), axis, values)


def brightest_rows(image):
    """The row of the pigment epithelium in each column (W,), smoothed by a running median."""
    smooth = box(box(np.where(image >= 250, 0, image), 9, 1), 5, 0)
    row = smooth[30:-30].argmax(0) + 30
    near = np.pad(row, 30, mode="edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(near, 61), axis=1).astype(int)


def aligned(image, rows, above, below):
    """Columns (N, above + below) around their brightest row, those that fit into the image."""
    height, width = image.shape
    keep = [w for w in range(20, width - 20) if above < rows[w] < height - below]
    return np.array([image[rows[w] - above:rows[w] + below, w] for w in keep])


def patches(image):
    """Mean, deviation and correlations of small patches without their plane and bend."""
    y, x = np.mgrid[:PATCH_ROWS, :PATCH_COLUMNS]
    base = np.stack([y.ravel(), x.ravel(), np.ones(y.size), y.ravel() ** 2], 1).astype(float)
    remove = np.eye(y.size) - base @ np.linalg.pinv(base)
    found = []
    for top in range(20, image.shape[0] - 20 - PATCH_ROWS, PATCH_ROWS):
        for left in range(20, image.shape[1] - 20 - PATCH_COLUMNS, PATCH_COLUMNS):
            patch = image[top:top + PATCH_ROWS, left:left + PATCH_COLUMNS]
            if patch.max() >= 250:
                continue
            rest = (remove @ patch.ravel()).reshape(patch.shape)
            power = max((rest ** 2).mean(), 1e-9)
            found.append((patch.mean(), rest.std(), (rest[1:] * rest[:-1]).mean() / power,
                          (rest[2:] * rest[:-2]).mean() / power,
                          (rest[:, 1:] * rest[:, :-1]).mean() / power,
                          (rest[:, 2:] * rest[:, :-2]).mean() / power))
    return found


def spectrum(windows, axis, pitch, bands):
    """Shares of power in bands (cycles/mm) of log gray along an axis of windows (N, rows, columns),
    without the mean along it."""
    logarithm = np.log(1 + windows)
    logarithm -= logarithm.mean(axis, keepdims=True)
    taper = np.hanning(logarithm.shape[axis])
    shape = [1, 1, 1]
    shape[axis] = -1
    power = np.abs(np.fft.rfft(logarithm * taper.reshape(shape), axis=axis)) ** 2
    power = power.mean(axis=tuple(i for i in range(3) if i != axis))
    frequency = np.fft.rfftfreq(logarithm.shape[axis], pitch)
    return [power[(frequency >= low) & (frequency < high)].sum() / power.sum()
            for low, high in zip(bands, bands[1:])]


def measure(path, row_mm, column_mm):
    """An ordered dictionary of measures of one scan."""
    px = lambda micrometres: round(micrometres / 1000 / row_mm)
    above, below = px(600), px(500)
    columns, found, windows = [], [], []
    for image in slices(path):
        image = image.astype(float)
        rows = brightest_rows(image)
        flat = aligned(image, rows, above, below)
        if len(flat):
            columns.append(flat)
            retina = flat[:, above - px(270):above - px(20)]
            for start in range(0, len(retina) - 128, 128):
                window = retina[start:start + 128].T
                if window.max() < 250:
                    windows.append(window)
        found += patches(image)
    columns = np.concatenate(columns)
    columns[columns >= 250] = np.nan
    windows = np.array(windows)
    found = np.array(found)
    result = {}
    vitreous = columns[:, :px(80)].ravel()
    vitreous = vitreous[~np.isnan(vitreous)]
    result["vitreous: share of gray 0"] = (vitreous == 0).mean()
    for share in (25, 50, 75, 95):
        result[f"vitreous: gray, {share}th percentile"] = np.percentile(vitreous, share)
    tissue = columns[:, above - px(300):above + px(150)]
    tissue = tissue[~np.isnan(tissue)]
    for share in (5, 25, 50, 75, 95, 99):
        result[f"-300 to +150 um: gray, {share}th percentile"] = np.percentile(tissue, share)
    profile = np.nanmean(columns, 0)
    for at in PROFILE:
        result[f"mean gray at {at:+d} um"] = profile[above + px(at)]
    mean = found[:, 0]
    for low, high in ((10, 35), (45, 75), (105, 140)):
        part = found[(mean >= low) & (mean < high)]
        name = f"patches of mean {low} to {high}: "
        result[name + "contrast, 20th percentile"] = np.percentile(part[:, 1] / part[:, 0], 20)
        result[name + "contrast, median"] = np.median(part[:, 1] / part[:, 0])
        for i, lag in enumerate(("1 row", "2 rows", "1 column", "2 columns")):
            result[name + f"correlation at {lag}"] = np.median(part[:, 2 + i])
    for name, axis, pitch, bands in (("lateral", 2, column_mm, (0, 5, 10, 20, 30, 99)),
                                     ("axial", 1, row_mm, (0, 15, 30, 60, 90, 999))):
        for low, high, share in zip(bands, bands[1:], spectrum(windows, axis, pitch, bands)):
            result[f"{name} spectrum of log gray, share from {low} to {high} /mm"] = share
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows-mm", type=float, default=2 / 512, help="between rows")
    parser.add_argument("--columns-mm", type=float, default=6 / 512, help="between columns")
    parser.add_argument("scans", nargs="+", metavar="NAME=PATH")
    given = parser.parse_args()
    results = {}
    for scan in given.scans:
        name_, path_ = scan.split("=", 1)
        results.setdefault(name_, []).append(measure(path_, given.rows_mm, given.columns_mm))
    print("| measure | " + " | ".join(results) + " |")
    print("|---" * (1 + len(results)) + "|")
    for key in next(iter(results.values()))[0]:
        form = "%.2f" if "gray" not in key or "share" in key else "%.0f"
        spans = []
        for group in results.values():
            values = [result[key] for result in group]
            spans.append(f"{form % min(values)} … {form % max(values)}")
        print(f"| {key} | " + " | ".join(spans) + " |")
