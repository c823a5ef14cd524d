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
    assert_trouble read-octa500 "10002.mat: no MATLAB file, or cut off"
}
