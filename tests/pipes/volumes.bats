# Volumes from other programs' files and back: read-volume.

bats_require_minimum_version 1.5.0
load assert

setup() {
    eye=$(realpath "$BATS_TEST_DIRNAME/../../testdata/eye-32x64x64.tif")
    cd "$BATS_TEST_TMPDIR" || return
}

# metadata FILE: the header of the first array.
metadata() {
    head -c 2000 "$1" | grep -ao '# octpipe {.*}'
}

@test "a folder of slices is a volume, in natural order" {
    tiff-to-tensor "$eye" > eye.npy
    mkdir slices
    tensor-split eye.npy | tensor-to-tiff -o slices/%d.tif
    echo "not a slice" > slices/notes.txt
    read-volume slices > back.npy
    tensor-diff eye.npy back.npy
    run -0 metadata back.npy
    [[ "$output" == *'"kind":"volume"'*'"history":["read-volume slices"]'* ]]
    mv slices/7.tif seven.tif
    read-volume slices seven.tif > two.npy
    [ "$(tensor-info two.npy | grep -cE '\((31|1), 64, 64\)')" -eq 2 ]
    run -0 metadata two.npy
    [[ "$output" == *'"index":0,"of":2'* ]]
}

@test "a TIFF stack comes back as tiff-to-tensor reads it" {
    tiff-to-tensor "$eye" > expected.npy
    read-volume "$eye" > eye.npy
    tensor-diff expected.npy eye.npy
    run -0 metadata eye.npy
    [[ "$output" == *'"spacing":[0.1875,0.03125,0.0937'* ]]
    tensor-to-tiff --type u2 -o deep.tif eye.npy
    tiff-to-tensor deep.tif > expected.npy
    read-volume deep.tif > back.npy
    tensor-diff expected.npy back.npy
}

@test "arrays come back with their metadata, bare ones without" {
    phantom --shape 4,32,32 -n 2 > eyes.npy
    read-volume eyes.npy > back.npy
    tensor-diff eyes.npy back.npy
    run -0 metadata back.npy
    [[ "$output" == *'"history":["phantom --shape 4,32,32 -n 2","read-volume eyes.npy"]'* ]]
    head -c 2048 "$eye" > raw # any bytes
    run -0 bash -c 'read-volume --shape 2,32,16 --type u2 raw | tensor-info'
    [[ "$output" == *"u2 (2, 32, 16)"* ]]
}

@test "--spacing and --labels say what a file does not" {
    read-volume --spacing 0.1,0.02,0.03 --labels "$eye" > labels.npy
    run -0 metadata labels.npy
    [[ "$output" == *'"kind":"labels"'*'"spacing":[0.1'*',0.02'*',0.03'* ]]
    run --separate-stderr read-volume --spacing 1,2 "$eye"
    assert_trouble read-volume "--spacing 1,2: not 3 numbers"
    run --separate-stderr read-volume --spacing 1,0,2 "$eye"
    assert_trouble read-volume "lengths are above 0"
}

@test "what cannot be read is refused by name before anything is written" {
    mkdir empty slices
    echo text > text.nii
    tiff-to-tensor "$eye" | tensor-split | tensor-to-tiff -o slices/%d.tif
    head -c 200 slices/3.tif > slices/4.tif
    run --separate-stderr read-volume "$eye" empty
    assert_trouble read-volume "empty: the folder holds no PNG"
    run --separate-stderr read-volume "$eye" text.nii
    assert_trouble read-volume "text.nii: no TIFF, PNG, JPEG, BMP, NIfTI or NPY by its first bytes"
    run --separate-stderr read-volume "$eye" none
    assert_trouble read-volume "none: No such file"
    run --separate-stderr read-volume "$eye" slices
    assert_trouble read-volume "slices: 4.tif: "
    run --separate-stderr read-volume /dev/null
    assert_trouble read-volume "no regular file and no folder"
    run --separate-stderr read-volume --shape 32,64,64 "$eye"
    assert_trouble read-volume "--shape and --type go together"
    run --separate-stderr read-volume --shape 32,64 --type u1 "$eye"
    assert_trouble read-volume "--shape has 2 extents"
    run --separate-stderr read-volume --memory 15k "$eye"
    assert_trouble read-volume "absurd size"
}

@test "OCTA-500 in both spellings gives back volumes, layers and maps" {
    command -v python3 > /dev/null || skip "no python3"
    phantom -n 3 --shape 12,24,16 --seed 3 --surfaces surfaces.npy --vessels vessels.npy > eyes.npy
    local make=$(dirname "$eye")/make-octa500.py
    python3 "$make" eyes.npy surfaces.npy vessels.npy new
    python3 "$make" eyes.npy surfaces.npy vessels.npy old old
    for tree in new old; do
        read-octa500 -q $tree > back.npy
        tensor-diff eyes.npy back.npy
        read-octa500 -q --labels layers $tree > layers.npy
        tensor-diff --atol 0.5 surfaces.npy layers.npy # whole rows
        read-octa500 -q --labels artery-vein $tree > map.npy
        tensor-diff vessels.npy map.npy
        read-octa500 -q --labels cavf $tree | tensor-diff vessels.npy -
    done
    run -0 metadata layers.npy
    [[ "$output" == *'"kind":"surfaces","axes":"SDW","spacing":[0.5,0.08333'*',0.375]'* ]]
    [[ "$output" == *'"index":0,"of":3,"history":["read-octa500 --labels layers old # 10001"]'* ]]
    read-octa500 --ids 10003,10001-10002 --split test new > test.npy
    run -0 tensor-info test.npy
    [[ "$output" == *"index     0 of 1"*"# 10001"* ]]
    read-octa500 -q --split train new > train.npy
    [ "$(tensor-info train.npy | grep -c '(12, 24, 16)')" -eq 2 ]
    run --separate-stderr -0 bash -c 'read-octa500 new > all.npy'
    [ "$stderr" = "read-octa500: new: 297 of 300 scans are not there" ]
    # The projection shows which way the maps lie.
    read-octa500 -q --ids 10002 --labels oct-full new > full.npy
    run -0 tensor-info full.npy
    [[ "$output" == *"u1 (12, 16)"*"en-face map"* ]]
}

@test "what OCTA-500 lacks is named, and ids that do not fit are refused" {
    command -v python3 > /dev/null || skip "no python3"
    phantom -n 2 --shape 4,24,16 --surfaces surfaces.npy --vessels vessels.npy > eyes.npy
    python3 "$(dirname "$eye")/make-octa500.py" eyes.npy surfaces.npy vessels.npy tree
    run --separate-stderr read-octa500 --ids 10001-10003 tree
    assert_trouble read-octa500 "tree: there is no OCTA_6mm/OCT/10003, nor in another spelling"
    run --separate-stderr read-octa500 --fov 3mm tree
    assert_trouble read-octa500 "tree: no scan of those asked for is there"
    run --separate-stderr read-octa500 --fov 3mm --ids 10001 tree
    assert_trouble read-octa500 "10001 is not of 3mm"
    run --separate-stderr read-octa500 --fov 3mm --split test tree
    assert_trouble read-octa500 "of 6mm only"
    run --separate-stderr read-octa500 --ids 10001,x tree
    assert_trouble read-octa500 "--ids 10001,x: not ids such as"
    rm tree/OCTA_6mm/OCT/10001/2.bmp
    run --separate-stderr read-octa500 --ids 10001 tree
    assert_trouble read-octa500 "OCT/10001: 3 slices, but there is no 2.bmp"
    head -c 200 tree/Label/GT_Layers/10002.mat > cut.mat
    mv cut.mat tree/Label/GT_Layers/10002.mat
    run --separate-stderr read-octa500 --ids 10002 --labels layers tree
    assert_trouble read-octa500 "10002.mat: no MATLAB file of real arrays, or damaged or cut off"
}

@test "slices of PNG come back bit for bit, 8 and 16 bits" {
    phantom --shape 12,24,17 --seed 5 > eye.npy
    tensor-to-slices -o slices eye.npy
    [ "$(ls slices | head -n 1)" = 000.png ]
    [ "$(ls slices | wc -l)" -eq 12 ]
    read-volume slices | tensor-diff eye.npy -
    tensor-cast --to u2 --scale 257 --offset 3 eye.npy > deep.npy
    tensor-to-slices -o deep deep.npy
    read-volume deep > back.npy
    tensor-diff deep.npy back.npy
    [ "$(tensor-info back.npy | grep -c 'u2 (12, 24, 17)')" -eq 1 ]
    tensor-cast --volume f4 eye.npy | tensor-to-slices -o again/
    read-volume again | tensor-diff eye.npy -
    # 257 times as large: 255 stands for what 65535 stands for.
    tensor-cast --volume f4 eye.npy | tensor-to-slices --type u2 -o sixteen
    tensor-cast --to u2 --scale 257 eye.npy > expected.npy
    read-volume sixteen | tensor-diff expected.npy -
    mkdir many
    cat eye.npy eye.npy | tensor-to-slices -o many/eye-%d
    [ "$(ls many)" = $'eye-0\neye-1' ]
}

@test "a folder of slices is whole or not there" {
    phantom --shape 12,24,16 > eye.npy
    mkdir here full empty
    touch full/file
    head -c 3000 eye.npy > cut.npy
    run --separate-stderr tensor-to-slices -o here/slices cut.npy
    assert_trouble tensor-to-slices "cut.npy: "
    run --separate-stderr tensor-to-slices -o full eye.npy
    assert_trouble tensor-to-slices "full: the folder is not empty"
    run --separate-stderr tensor-to-slices -o none/slices eye.npy
    assert_trouble tensor-to-slices "none/slices: No such file"
    run --separate-stderr tensor-to-slices -o full/file eye.npy
    assert_trouble tensor-to-slices "full/file: Not a directory"
    noise --shape 2,4,8,8 > z.npy
    run --separate-stderr tensor-to-slices -o here/slices z.npy
    assert_trouble tensor-to-slices "a volume u1 or f4"
    mkfifo pipe
    env --default-signal=TERM tensor-to-slices -o here/slices < pipe 3>&- &
    local writer=$!
    { head -c 3000 eye.npy; sleep 20; } > pipe 3>&- &
    local feeder=$! code=0
    for _ in {1..100}; do
        if compgen -G "here/*/003.png" > /dev/null; then
            break
        fi
        sleep 0.1
    done
    compgen -G "here/*/003.png"
    kill -TERM $writer
    wait $writer || code=$?
    kill $feeder
    [ "$code" -eq 143 ]
    [ -z "$(ls -A here)" ]
    tensor-to-slices -o empty eye.npy
    read-volume empty | tensor-diff eye.npy -
}

@test "NIfTI files come back with their spacing, plain and compressed" {
    phantom --shape 5,24,17 --seed 5 > eye.npy
    tensor-cast --to i2 --scale 100 --offset -9 eye.npy > deep.npy
    tensor-cast --volume f4 eye.npy > real.npy
    for input in eye deep real; do
        for name in $input.nii $input.nii.gz; do
            tensor-to-nifti -o $name $input.npy
            read-volume $name > back.npy
            tensor-diff $input.npy back.npy
            run -0 tensor-info back.npy
            [[ "$output" == *"spacing   1.2, 0.0833333, 0.352941 mm"* ]]
        done
    done
    [ "$(head -c 2 eye.nii.gz | od -An -tx1 | tr -d ' ')" = 1f8b ]
    [ "$(wc -c < eye.nii)" -eq $((352 + 5 * 24 * 17)) ]
    [ "$(od -An -td2 -j 40 -N 8 eye.nii | xargs)" = "3 17 24 5" ] # dim: x is W, y is H, z is D
    gunzip -c eye.nii.gz | cmp - eye.nii
    mv eye.nii.gz eye.img
    read-volume eye.img | tensor-diff eye.npy -
    head -c 40000 "$eye" > long
    read-volume --shape 40000,1,1 --type u1 long > long.npy
    tensor-to-nifti -o long.nii long.npy
    [ "$(od -An -td4 -N 4 long.nii | xargs)" = 540 ]
    read-volume long.nii | tensor-diff long.npy -
    cat eye.npy eye.npy | tensor-to-nifti -o two.nii.gz
    [ -s two-000.nii.gz ]
    [ -s two-001.nii.gz ]
}

@test "a NIfTI file is whole or not there, and tells what it cannot hold" {
    phantom --shape 5,24,16 > eye.npy
    mkdir here
    head -c 1500 eye.npy > cut.npy
    for name in a.nii a.nii.gz; do
        run --separate-stderr tensor-to-nifti -o here/$name cut.npy
        assert_trouble tensor-to-nifti "cut.npy: "
        run --separate-stderr tensor-to-nifti -o none/$name eye.npy
        assert_trouble tensor-to-nifti "none/$name"
    done
    tensor-cast --to f2 eye.npy > half.npy
    run --separate-stderr tensor-to-nifti -o here/a.nii half.npy
    assert_trouble tensor-to-nifti "NIfTI has no type for f2; use tensor-cast --to f4"
    noise --shape 2,4,8,8 > z.npy
    run --separate-stderr tensor-to-nifti -o here/a.nii z.npy
    assert_trouble tensor-to-nifti "a volume (D,H,W) is expected, not latent"
    run --separate-stderr tensor-to-nifti -o - eye.npy
    assert_trouble tensor-to-nifti "use -o FILE"
    [ -z "$(ls -A here)" ]
}

@test "nibabel and Pillow read what is written" {
    python3 -c 'import numpy, PIL, nibabel' 2> /dev/null || skip "no NumPy, Pillow or nibabel"
    phantom --shape 5,24,17 > eye.npy
    tensor-to-nifti -o eye.nii.gz eye.npy
    tensor-to-slices -o slices eye.npy
    python3 - <<'PYTHON'
import nibabel, numpy
from PIL import Image
eye = numpy.load("eye.npy")
scan = nibabel.load("eye.nii.gz")
assert (numpy.asarray(scan.dataobj).T == eye).all()
assert numpy.allclose(scan.header.get_zooms(), (6 / 17, 2 / 24, 6 / 5))
assert (numpy.array(Image.open("slices/003.png")) == eye[3]).all()
PYTHON
}

@test "normalize brings values to the range of a volume" {
    phantom --shape 6,24,16 --seed 2 > eye.npy
    tensor-cast --to u2 --scale 16 --offset 100 eye.npy > deep.npy # 100 to 4180
    normalize --window 100,4180 --to u1 deep.npy > back.npy
    tensor-diff eye.npy back.npy
    run -0 metadata back.npy
    [[ "$output" == *'"kind":"volume","axes":"DHW"'* ]]
    # Both round to f4 below 2 at most twice: 2^-24 each.
    normalize --window 100,4180 deep.npy > real.npy
    tensor-cast --volume f4 eye.npy | tensor-diff --atol 1.2e-7 - real.npy
    normalize deep.npy > whole.npy
    run -0 tensor-info whole.npy
    [[ "$output" == *"f4 (6, 24, 16)"*"min -1, max 1,"* ]]
    normalize --percentiles 5,95 --threads 1 deep.npy > a.npy
    cat deep.npy deep.npy | normalize --percentiles 5,95 --threads 3 > b.npy
    cat a.npy a.npy | tensor-diff - b.npy
    run --separate-stderr normalize --window 5,5 deep.npy
    assert_trouble normalize "LO must be less than HI"
    run --separate-stderr normalize --percentiles 5,101 deep.npy
    assert_trouble normalize "must be from 0 to 100"
    run --separate-stderr normalize --percentiles 5,95 --window 0,1 deep.npy
    assert_trouble normalize "give either"
    run --separate-stderr normalize --memory 4k deep.npy
    assert_trouble normalize "--window needs a slice of it only"
    tensor-cast --to u1 --scale 0 eye.npy > flat.npy
    run --separate-stderr normalize flat.npy
    assert_trouble normalize "both percentiles are 0; give --window"
    noise --shape 2,4,8,8 > z.npy
    run --separate-stderr normalize z.npy
    assert_trouble normalize "a volume (D,H,W) is expected, not latent"
}

@test "flip reverses axes, and twice is nothing" {
    phantom --shape 6,24,16 --seed 2 --surfaces surfaces.npy --vessels vessels.npy > eye.npy
    for axes in D H W D,W D,H,W; do
        flip --axes $axes eye.npy > flipped.npy
        run ! same eye.npy flipped.npy
        flip --axes $axes flipped.npy | tensor-diff eye.npy -
    done
    crop --from 5,0,0 --to 1,24,16 eye.npy > last.npy
    flip --axes D eye.npy | crop --from 0,0,0 --to 1,24,16 | tensor-diff last.npy -
    # Surfaces and maps are flipped with their volume.
    flip --axes D,W surfaces.npy | flip --axes W,D | tensor-diff surfaces.npy -
    flip --axes D vessels.npy | flip --axes D | tensor-diff vessels.npy -
    tensor-split -n 1 surfaces.npy > pieces.npy
    flip --axes D,W surfaces.npy | tensor-split -n 1 > turned.npy
    flip --axes D,W pieces.npy | tensor-diff turned.npy -
    noise --shape 3,4,8,8 > z.npy
    flip --axes H z.npy | flip --axes H | tensor-diff z.npy -
    run --separate-stderr flip --axes H surfaces.npy
    assert_trouble flip "surfaces f4 (6, 6, 16) has no axis H"
    for axes in X DW D,D D, ,D; do
        run --separate-stderr flip --axes "$axes" eye.npy
        assert_trouble flip "not some of D, H and W"
    done
    pad --to 8,24,16 eye.npy > padded.npy
    run --separate-stderr flip --axes D padded.npy
    assert_trouble flip "it is padded along D; crop it first"
    flip --axes W padded.npy | crop | flip --axes W | tensor-diff eye.npy -
    run --separate-stderr flip --axes D --memory 1k eye.npy
    assert_trouble flip "beyond the bound"
}

@test "memory does not grow with the number of slices" {
    local slices=400
    # The address space suffices for libraries and a few slices of 1000x1000.
    if [ -n "$SANITIZE" ]; then
        slices=4
    else
        ulimit -v 300000
    fi
    truncate -s $((slices * 1000000)) raw
    raw=(read-volume -q --shape $slices,1000,1000 --type u1 raw)
    "${raw[@]}" | tensor-to-nifti -q -o scan.nii.gz
    read-volume -q scan.nii.gz | tail -c 200 | grep -aq '"complete"'
    "${raw[@]}" | flip --axes W | normalize --window 0,1 --to u1 | tail -c 200 \
        | grep -aq '"complete"'
}

@test "from OCTA-500 to synthetic volumes" {
    command -v python3 > /dev/null || skip "no python3"
    local pipelines=$BATS_TEST_DIRNAME/../../pipelines
    phantom -n 3 --shape 20,40,20 --seed 4 --surfaces surfaces.npy --vessels vessels.npy > eyes.npy
    python3 "$(dirname "$eye")/make-octa500.py" eyes.npy surfaces.npy vessels.npy OCTA-500
    mkdir eyes
    read-octa500 -q OCTA-500 | resize --to 16,32,32 | tensor-split -n 16 -o eyes/%03d.npy
    unset MAKEFLAGS MFLAGS # of the make that runs the tests
    make -s -f "$pipelines/train.mk" BIN="$BIN" SIZE=tiny EYES=eyes OUT=run FLAGS=-q > log 2>&1
    make -s -f "$pipelines/synthesize.mk" BIN="$BIN" WEIGHTS=run/weights OUT=synthetic SHAPE=2,4,4,4 \
        FLAGS=-q >> log 2>&1
    tensor-to-slices -o slices synthetic/volume.npy
    tensor-cast --volume u1 synthetic/volume.npy > expected.npy
    read-volume slices | tensor-diff expected.npy -
}
