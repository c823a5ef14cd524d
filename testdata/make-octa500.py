"""A folder laid out as OCTA-500, with phantoms in place of scans:

    phantom -n 2 --shape 16,24,16 --surfaces surfaces.npy --vessels vessels.npy > volumes.npy
    make-octa500.py volumes.npy surfaces.npy vessels.npy FOLDER [old]

Scans are numbered from 10001. Slices are FOLDER/OCTA_6mm/OCT/ID/N.bmp, layers, arteries, veins and
CAVF are in FOLDER/Label, the mean over the depth of the eye in "Projection Maps"; with `old` in the
spelling of the first release. En-face files have the slices as rows, the last one first. Layers are
16-bit whole numbers in MATLAB files of version 5, every second one compressed. Python alone.
"""
import ast
import os
import struct
import sys
import zlib


def read_arrays(path):
    """The arrays of a stream as (shape, bytes), without the trailers."""
    with open(path, "rb") as file:
        data = file.read()
    at, arrays = 0, []
    while at < len(data):
        length = struct.unpack_from("<H", data, at + 8)[0]
        header = data[at + 10:at + 10 + length].decode("latin1")
        at += 10 + length
        fields = ast.literal_eval(header[:header.index("}") + 1])
        size = int(fields["descr"][2:])
        for extent in fields["shape"]:
            size *= extent
        if "# octpipe trailer" not in header:
            arrays.append((fields["shape"], data[at:at + size]))
        at += size
    return arrays


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def bmp(rows, columns, gray):
    """8 bits with a gray palette, rows from the last to the first."""
    pad = bytes(-columns % 4)
    lines = [gray[row * columns:(row + 1) * columns] + pad for row in range(rows)]
    pixels = b"".join(reversed(lines))
    palette = b"".join(bytes((i, i, i, 0)) for i in range(256))
    start = 14 + 40 + len(palette)
    return (struct.pack("<2sIHHI", b"BM", start + len(pixels), 0, 0, start) +
            struct.pack("<IiiHHIIiiII", 40, columns, rows, 1, 8, 0, len(pixels), 2835, 2835, 256, 0)
            + palette + pixels)


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def mat(shape, values, compress):
    """The variable Layer, uint16, MATLAB's order of axes."""
    surfaces, slices, columns = shape
    stored = [values[(s * slices + d) * columns + w]
              for w in range(columns) for d in range(slices) for s in range(surfaces)]
    matrix = element(14, element(6, struct.pack("<II", 11, 0)) +
                     element(5, struct.pack("<3i", *shape)) + element(1, b"Layer") +
                     element(4, struct.pack("<%dH" % len(stored), *stored)))
    if compress:
        packed = zlib.compress(matrix)
        matrix = struct.pack("<II", 15, len(packed)) + packed
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM") + matrix


def main(volumes, surfaces, vessels, folder, *spelling):
    old = "old" in spelling
    field = os.path.join(folder, "OCTA-500", "OCTA_6M") if old else os.path.join(folder, "OCTA_6mm")
    label = os.path.join(folder, "GroundTruth" if old else "Label")
    for number, (volume, layer, vessel) in enumerate(zip(*map(read_arrays,
                                                              (volumes, surfaces, vessels)))):
        name = str(10001 + number)
        (slices, rows, columns), voxels = volume
        page = rows * columns
        for d in range(slices):
            write(os.path.join(field, "OCT", name, "%d.bmp" % (d + 1)),
                  bmp(rows, columns, voxels[d * page:(d + 1) * page]))
        heights = struct.unpack("<%df" % (len(layer[1]) // 4), layer[1])
        write(os.path.join(label, "GT_Layers", name + ".mat"),
              mat(layer[0], [int(height + 0.5) for height in heights], number % 2))
        means = bytes(sum(voxels[d * page + w:(d + 1) * page:columns]) // rows
                      for d in range(slices) for w in range(columns))

        def flipped(values):
            return b"".join(values[d * columns:(d + 1) * columns] for d in reversed(range(slices)))
        maps = {"GT_Artery": bytes(255 * (v == 1) for v in vessel[1]),
                "GT_Vein": bytes(255 * (v == 2) for v in vessel[1]), "GT_CAVF": vessel[1]}
        for kind, values in maps.items():
            write(os.path.join(label, kind, name + ".bmp"), bmp(slices, columns, flipped(values)))
        write(os.path.join(field, "Projection Maps", "OCT(FULL)", name + ".bmp"),
              bmp(slices, columns, flipped(means)))


if __name__ == "__main__":
    main(*sys.argv[1:])
