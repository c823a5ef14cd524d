# TIFF in and out, and pictures: tiff-to-tensor, tensor-to-tiff, tensor-view.

bats_require_minimum_version 1.5.0
load assert

setup() {
    testdata=$(realpath "$BATS_TEST_DIRNAME/../../testdata")
    eye=$testdata/eye-32x64x64.tif
    cd "$BATS_TEST_TMPDIR" || return
}

# metadata FILE: the header of the first array.
metadata() {
    head -c 2000 "$1" | grep -ao '# octpipe {.*}'
}

# png_size FILE: columns x rows.
png_size() {
    [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ]
    od -An -tu1 -j 16 -N 8 "$1" | awk '{ print $3 * 256 + $4 "x" $7 * 256 + $8 }'
}

@test "the test scan is what its program makes" {
    command -v python3 > /dev/null || skip "no python3"
    python3 "$testdata/make-phantom-tiff.py" > made.tif
    tiff-to-tensor made.tif > made.npy
    tiff-to-tensor "$eye" > eye.npy
    tensor-diff made.npy eye.npy
}

@test "the test scan becomes a volume with spacing and history" {
    tiff-to-tensor "$eye" > eye.npy
    run -0 tensor-info eye.npy
    [[ "$output" == *"(32, 64, 64)"* ]]
    run -0 metadata eye.npy
    [[ "$output" == *'"kind":"volume"'* ]]
    [[ "$output" == *'"spacing":[0.1875,0.03125,0.0937'* ]]
    [[ "$output" == *'"history":["tiff-to-tensor eye-32x64x64.tif"]'* ]]
}

@test "NumPy reads the volume as Pillow or tifffile read the TIFF" {
    python3 -c 'import numpy, PIL' 2> /dev/null || skip "no NumPy or Pillow"
    tiff-to-tensor "$eye" > eye.npy
    python3 - "$eye" <<'PYTHON'
import sys
import numpy
from PIL import Image, ImageSequence
pages = [numpy.array(page) for page in ImageSequence.Iterator(Image.open(sys.argv[1]))]
assert (numpy.load("eye.npy") == pages).all()
PYTHON
}

@test "volume to TIFF and back is exact for every type and compression" {
    tiff-to-tensor "$eye" > eye.npy
    tiff-to-tensor --range 0,255 "$eye" > real.npy
    for input in eye.npy real.npy; do
        for compression in none lzw deflate packbits zstd; do
            for type in u1 u2 f4; do
                echo "$input $compression $type"
                tensor-to-tiff -o back.tif --type $type --compression $compression $input
                tiff-to-tensor back.tif > back.npy
                if [ $type = u1 ]; then
                    tensor-diff eye.npy back.npy
                else
                    tensor-diff real.npy back.npy
                fi
            done
        done
    done
}

@test "spacing, place and history come back from the TIFF" {
    tiff-to-tensor "$eye" | tensor-to-tiff -o a.tif
    tiff-to-tensor a.tif > b.npy
    run -0 metadata b.npy
    [[ "$output" == *'"spacing":[0.1875,0.03125,0.0937'* ]]
    [[ "$output" == *'"history":["tiff-to-tensor eye-32x64x64.tif","tensor-to-tiff","tiff-to-tensor a.tif"]'* ]]
    if command -v tiffinfo > /dev/null; then
        run -0 tiffinfo a.tif
        [[ "$output" == *"images=32"*"slices=32"*"unit=mm"*"spacing=0.1875"* ]]
        [[ "$output" == *AdobeDeflate* ]]
    fi
}

@test "several files are several arrays, and several arrays several files" {
    tiff-to-tensor "$eye" "$eye" "$eye" > three.npy
    [ "$(tensor-info three.npy | grep -c '(32, 64, 64)')" -eq 3 ]
    mkdir plain pattern
    tensor-to-tiff -o plain/eye.tif three.npy
    [ "$(ls -A plain)" = $'eye-000.tif\neye-001.tif\neye-002.tif' ]
    tensor-to-tiff -o pattern/%02d-eye.tif three.npy
    [ "$(ls -A pattern)" = $'00-eye.tif\n01-eye.tif\n02-eye.tif' ]
    tiff-to-tensor plain/eye-002.tif > third.npy
    run -0 metadata third.npy
    [[ "$output" == *'"index":2,"of":3'* ]]
    tiff-to-tensor plain/eye-002.tif "$eye" > two.npy
    run -0 metadata two.npy
    [[ "$output" == *'"index":0,"of":2'* ]]
    tensor-to-tiff -o one.tif third.npy
    [ -s one.tif ]
}

@test "padding is taken off, unless it is to stay" {
    tiff-to-tensor "$eye" > eye.npy
    pad --multiple 24 eye.npy | tensor-to-tiff -o cropped.tif
    tiff-to-tensor cropped.tif > back.npy
    tensor-diff eye.npy back.npy
    pad --multiple 24 eye.npy | tensor-to-tiff --no-crop -o whole.tif
    tiff-to-tensor whole.tif > whole.npy
    run -0 tensor-info whole.npy
    [[ "$output" == *"(48, 72, 72)"* ]]
    crop whole.npy > back.npy
    tensor-diff eye.npy back.npy
}

@test "- is stdin when that is a file, and a pipe is refused" {
    tiff-to-tensor - < "$eye" > stdin.npy
    tiff-to-tensor "$eye" > file.npy
    tensor-diff stdin.npy file.npy
    run --separate-stderr bash -c 'cat "$1" | tiff-to-tensor -' - "$eye"
    assert_trouble tiff-to-tensor "not from a pipe"
}

@test "values beyond the range are clamped with a note, which -q leaves out" {
    local header="{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 4), }"
    printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$header" > wide.npy
    printf '\0\0\0\xc0\0\0\0\x3f\0\0\x80\x3f\0\0\xc0\x3f' >> wide.npy # -2, 0.5, 1, 1.5
    run --separate-stderr -0 tensor-to-tiff -o wide.tif wide.npy
    [ "$stderr" = "tensor-to-tiff: wide.tif: 2 voxels outside of [-1,1] were clamped" ]
    run --separate-stderr -0 tensor-to-tiff -q -o wide.tif wide.npy
    [ -z "$stderr" ]
}

@test "bad options, missing and broken files are refused before anything is written" {
    head -c 30000 "$eye" > cut.tif
    echo "no TIFF" > text.tif
    run --separate-stderr tiff-to-tensor "$eye" missing.tif
    assert_trouble tiff-to-tensor "missing.tif: cannot open: No such file"
    run --separate-stderr tiff-to-tensor "$eye" cut.tif
    assert_trouble tiff-to-tensor "cut.tif: "
    run --separate-stderr tiff-to-tensor text.tif
    assert_trouble tiff-to-tensor "text.tif: cannot open: "
    run --separate-stderr tiff-to-tensor .
    assert_trouble tiff-to-tensor ".: no regular file"
    run --separate-stderr tiff-to-tensor
    assert_trouble tiff-to-tensor "operand"
    run --separate-stderr tiff-to-tensor --range 4,4 "$eye"
    assert_trouble tiff-to-tensor "--range 4,4: LO must be less than HI"
    run --separate-stderr tiff-to-tensor --range 4 "$eye"
    assert_trouble tiff-to-tensor "--range 4: not 2 numbers"
    run --separate-stderr tiff-to-tensor --range 0,1 --labels "$eye"
    assert_trouble tiff-to-tensor "exclude each other"
    run --separate-stderr tiff-to-tensor --memory 16k "$eye"
    [ "$status" -eq 0 ]
    run --separate-stderr tiff-to-tensor --memory 15k "$eye"
    assert_trouble tiff-to-tensor "absurd size"
}

@test "what is no volume, and no file for a TIFF, is refused" {
    tiff-to-tensor "$eye" > eye.npy
    noise --shape 2,4,8,8 --seed 1 > z.npy
    mkdir here
    run --separate-stderr tensor-to-tiff -o here/a.tif z.npy
    assert_trouble tensor-to-tiff "a volume"
    run --separate-stderr tensor-to-tiff eye.npy
    assert_trouble tensor-to-tiff "--output is required"
    for path in - /dev/null /dev/full; do
        run --separate-stderr tensor-to-tiff -o $path eye.npy
        assert_trouble tensor-to-tiff "-o FILE"
    done
    run --separate-stderr tensor-to-tiff -o here/%s.tif eye.npy
    assert_trouble tensor-to-tiff "pattern"
    run --separate-stderr tensor-to-tiff -o none/a.tif eye.npy
    assert_trouble tensor-to-tiff "none/a.tif"
    tiff-to-tensor --labels "$eye" > labels.npy
    run --separate-stderr tensor-to-tiff --type f4 -o here/a.tif labels.npy
    assert_trouble tensor-to-tiff "labels are written as u1"
    [ -z "$(ls -A here)" ]
}

@test "labels stay labels" {
    tiff-to-tensor --labels "$eye" > labels.npy
    tensor-to-tiff -o labels.tif labels.npy
    tiff-to-tensor labels.tif > back.npy
    run -0 metadata back.npy
    [[ "$output" == *'"kind":"labels"'* ]]
    tensor-diff labels.npy back.npy
}

@test "a broken stream leaves the TIFF of that name as it was" {
    tiff-to-tensor "$eye" > eye.npy
    mkdir here
    echo before > here/eye.tif
    head -c 100000 eye.npy > cut.npy
    run --separate-stderr tensor-to-tiff -o here/eye.tif cut.npy
    assert_trouble tensor-to-tiff cut.npy
    cat eye.npy cut.npy > second-cut.npy
    run --separate-stderr tensor-to-tiff -o here/eye.tif second-cut.npy
    assert_trouble tensor-to-tiff second-cut.npy
    printf 'x' | dd of=eye.npy bs=1 seek=5000 conv=notrunc status=none
    run --separate-stderr tensor-view -o here/eye.tif eye.npy
    assert_trouble tensor-view eye.npy
    [ "$(cat here/eye.tif)" = before ]
}

@test "a signal leaves no part of a TIFF" {
    mkdir here
    tiff-to-tensor "$eye" > eye.npy
    mkfifo pipe
    env --default-signal=TERM tensor-to-tiff -o here/eye.tif < pipe 3>&- &
    local writer=$!
    { head -c 90000 eye.npy; sleep 20; } > pipe 3>&- &
    local feeder=$!
    for _ in {1..100}; do
        if compgen -G "here/eye.tif*" > /dev/null; then
            break
        fi
        sleep 0.1
    done
    compgen -G "here/eye.tif*"
    kill -TERM $writer
    local code=0
    wait $writer || code=$?
    kill $feeder
    [ "$code" -eq 143 ]
    [ -z "$(ls -A here)" ]
}

@test "memory does not grow with the number of slices" {
    command -v python3 > /dev/null || skip "no python3"
    python3 - <<'PYTHON'
import struct
# ImageJ's layout beyond 4 GB: one directory, 400 pages of 1000x1000; a sparse file.
text = b"ImageJ=1.53t\nimages=400\nslices=400\n\0"
tags = [(256, 4, 1, 1000), (257, 4, 1, 1000), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (270, 2, len(text), 8 + 2 + 9 * 12 + 4), (273, 4, 1, 200), (278, 4, 1, 1000),
        (279, 4, 1, 1000000)]
data = struct.pack("<2sHIH", b"II", 42, 8, len(tags))
data += b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4) + text
with open("large.tif", "wb") as file:
    file.write(data)
    file.truncate(200 + 400 * 1000000)
PYTHON
    # 400 MB; the address space suffices for libraries and a few slices.
    if [ -z "$SANITIZE" ]; then
        ulimit -v 300000
    fi
    tiff-to-tensor -q large.tif | tail -c 200 | grep -aq '"complete"'
    tiff-to-tensor -q large.tif | tensor-to-tiff -q --compression packbits -o back.tif
    run -0 bash -c 'tiff-to-tensor -q back.tif | octmetrics tv'
    [ "$output" = "tv 0" ]
}

@test "pictures have the size that the mode and the spacing ask for" {
    tiff-to-tensor "$eye" > eye.npy
    tensor-view eye.npy > cuts.png
    [ "$(png_size cuts.png)" = 388x260 ] # (H,W) 192x64, (H,D) 192x64, (D,W) 192x192, 4 between
    tensor-view --mode en-face eye.npy -o en-face.png
    [ "$(png_size en-face.png)" = 64x64 ]
    tensor-view --mode montage --count 9 < eye.npy > montage.png
    [ "$(png_size montage.png)" = 584x200 ]
    noise --shape 6,4,8,10 --seed 1 | tensor-view -o z.png
    [ "$(png_size z.png)" = 52x44 ]
    tensor-view --at 31,0,63 --window 0,100 eye.npy > at.png
    [ "$(png_size at.png)" = 388x260 ]
    tensor-view --square eye.npy > square.png
    [ "$(png_size square.png)" = 100x100 ] # 64x64, 32x64; 64x32; 4 between
}

@test "several arrays are several pictures, but only one goes to stdout" {
    noise --shape 2,4,8,8 --seed 1 -n 2 > z.npy
    tensor-view z.npy -o z.png
    [ -s z-000.png ]
    [ -s z-001.png ]
    [ ! -e z.png ]
    run --separate-stderr tensor-view z.npy
    assert_trouble tensor-view "stdout takes one picture"
}

@test "tensor-view refuses what it cannot show" {
    tiff-to-tensor "$eye" > eye.npy
    run --separate-stderr tensor-view --mode channels eye.npy
    assert_trouble tensor-view "eye.npy: volume u1 (32, 64, 64) is shown in mode cuts"
    run --separate-stderr tensor-view --at 32,0,0 eye.npy
    assert_trouble tensor-view "voxel 32,0,0 is outside"
    run --separate-stderr tensor-view --at 1,2 eye.npy
    assert_trouble tensor-view "--at takes three numbers"
    run --separate-stderr tensor-view --window 3,2 eye.npy
    assert_trouble tensor-view "LO must be less than HI"
    run script -qec 'tensor-view eye.npy' /dev/null
    [ "$status" -eq 2 ]
    [[ "$output" == "tensor-view: stdout: "* ]]
}
