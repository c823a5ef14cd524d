#!/usr/bin/env python3
"""Make a small phantom of a retinal OCT volume: make-phantom-tiff.py > eye-32x64x64.tif

32 B-scans of 64x64, 8-bit, 6x2x6 mm: vitreous, retinal layers with a fovea, choroid, vessels with
their shadows, speckle. Needs only the standard library, and writes the same bytes for the same zlib.
"""
import math
import random
import struct
import sys
import zlib

SLICES, ROWS, COLUMNS = 32, 64, 64
FIELD_MM = (6.0, 2.0, 6.0)  # D, H, W
VITREOUS = 16
# Thickness in rows of the layers below the ILM, far from the fovea and at its centre, and gray.
LAYERS = (
    ("nerve fibres", 3.5, 0.0, 165),
    ("ganglion cells, inner plexiform", 6.5, 0.6, 120),
    ("inner nuclear", 3.5, 0.4, 70),
    ("outer plexiform", 2.5, 0.8, 115),
    ("outer nuclear", 6.0, 8.5, 55),
    ("photoreceptors", 3.0, 3.6, 150),
    ("pigment epithelium", 2.5, 2.5, 215),
)
CHOROID, CHOROID_DECAY_ROWS = 135, 9.0
EPITHELIUM_ROW = 44.0  # where the pigment epithelium ends, at the centre


def edge(row, boundary):
    """0 above a boundary, 1 below it, soft over about a row."""
    return 1 / (1 + math.exp(-3 * (row - boundary)))


def vessel(x, z):
    """How much of a vessel is at (x, z), 0 to 1: two arcades around the fovea and a branch."""
    depth = 0.0
    for side in (-1, 1):
        arcade = side * (0.75 - 0.35 * x * x)
        branch = side * (0.45 + 0.5 * x)
        depth = max(depth, math.exp(-((z - arcade) / 0.05) ** 2))
        if x > 0:
            depth = max(depth, 0.7 * math.exp(-((z - branch) / 0.04) ** 2))
    return depth


def column(x, z):
    """The ROWS grays of an A-scan at (x, z) in [-1,1]², without speckle."""
    radius2 = x * x + z * z
    fovea = math.exp(-radius2 / 0.06)
    bend = 3.5 * radius2 + 1.0 * x
    thickness = [far + (centre - far) * fovea for _, far, centre, _ in LAYERS]
    bottom = EPITHELIUM_ROW + bend
    top = bottom - sum(thickness)
    blocked = vessel(x, z)
    grays = []
    for row in range(ROWS):
        gray, boundary, above = VITREOUS, top, VITREOUS
        for (_, _, _, layer), thick in zip(LAYERS, thickness):
            gray += (layer - above) * edge(row, boundary)
            above, boundary = layer, boundary + thick
        choroid = CHOROID * math.exp(-max(0.0, row - boundary) / CHOROID_DECAY_ROWS)
        gray += (max(choroid, VITREOUS) - above) * edge(row, boundary)
        gray += 45 * blocked * math.exp(-((row - top - 2) / 1.5) ** 2)
        gray *= 1 - 0.5 * blocked * edge(row, top + 5)
        grays.append(gray)
    return grays


def volume():
    """Slices of ROWS*COLUMNS bytes; speckle is Rayleigh noise of mean 1, averaged over two."""
    noise = random.Random(20240)
    mean = math.sqrt(math.pi) / 2
    for d in range(SLICES):
        z = 2 * (d + 0.5) / SLICES - 1
        columns = [column(2 * (w + 0.5) / COLUMNS - 1, z) for w in range(COLUMNS)]
        page = bytearray()
        for h in range(ROWS):
            for w in range(COLUMNS):
                speckle = sum(math.sqrt(-math.log(1 - noise.random())) for _ in range(2)) / 2
                page.append(min(255, round(columns[w][h] * (0.5 + 0.5 * speckle / mean))))
        yield bytes(page)


def predicted(page):
    """Differences along the rows: TIFF's horizontal predictor."""
    rows = (page[i:i + COLUMNS] for i in range(0, len(page), COLUMNS))
    return b"".join(bytes((b - a) & 255 for a, b in zip(b"\0" + row, row)) for row in rows)


def tiff(pages):
    """A little-endian TIFF, deflate, one strip a page, with ImageJ's description."""
    spacing = [field / count for field, count in zip(FIELD_MM, (SLICES, ROWS, COLUMNS))]
    description = (f"ImageJ=1.53t\nimages={SLICES}\nslices={SLICES}\nunit=mm\n"
                   f"spacing={spacing[0]}\nloop=false\n").encode() + b"\0"
    out = bytearray(struct.pack("<2sHI", b"II", 42, 0))
    link = 4  # where the offset of the next directory goes

    def add(data):
        offset = len(out)
        out.extend(data + b"\0" * (len(data) % 2))
        return offset

    for index, page in enumerate(pages):
        strip = zlib.compress(predicted(page), 9)
        resolutions = [add(struct.pack("<II", round(1000 / step), 1000)) for step in spacing]
        tags = [(256, 3, 1, COLUMNS), (257, 3, 1, ROWS), (258, 3, 1, 8), (259, 3, 1, 8),
                (262, 3, 1, 1), (273, 4, 1, add(strip)), (277, 3, 1, 1), (278, 3, 1, ROWS),
                (279, 4, 1, len(strip)), (282, 5, 1, resolutions[2]), (283, 5, 1, resolutions[1]),
                (296, 3, 1, 1), (317, 3, 1, 2)]
        if index == 0:
            tags.append((270, 2, len(description), add(description)))
        directory = struct.pack("<H", len(tags))
        directory += b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
        offset = add(directory + struct.pack("<I", 0))
        out[link:link + 4] = struct.pack("<I", offset)
        link = offset + len(directory)
    return bytes(out)


if __name__ == "__main__":
    sys.stdout.buffer.write(tiff(volume()))
