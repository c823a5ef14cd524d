# phantom: volumes of procedural eyes, and the files beside them.

bats_require_minimum_version 1.5.0
load assert

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    eye=(phantom --shape 9,64,40 --seed 5)
}

@test "a volume says what it is" {
    run -0 tensor-info <("${eye[@]}" --first 3)
    [[ "$output" == *"u1 (9, 64, 40)"* ]]
    [[ "$output" == *"kind      volume, axes DHW"* ]]
    [[ "$output" == *"spacing   0.666667, 0.03125, 0.15"* ]]
    [[ "$output" == *"index     3 of 4"* ]]
    [[ "$output" == *"phantom --shape 9,64,40 --seed 5 --first 3"* ]]
}

@test "the same bytes for any number of threads and memory" {
    "${eye[@]}" -n 2 --fluid 0.5 --threads 1 --clean clean.npy > one.npy
    for options in "--threads 2" "--threads 3" "--threads 16" "--threads 2 --memory 7400k"; do
        "${eye[@]}" -n 2 --fluid 0.5 $options --clean other.npy > many.npy
        cmp one.npy many.npy
        cmp clean.npy other.npy
    done
    run --separate-stderr "${eye[@]}" --memory 1M
    assert_trouble phantom "beyond --memory"
}

@test "seed, index and count say which eyes come" {
    "${eye[@]}" -n 3 --surfaces surfaces.npy --vessels vessels.npy > three.npy
    for first in 0 1 2; do
        "${eye[@]}" --first $first --surfaces surfaces$first.npy --vessels vessels$first.npy
    done > single.npy
    same three.npy single.npy
    cat surfaces[012].npy | same - surfaces.npy
    cat vessels[012].npy | same - vessels.npy
    run -1 tensor-diff -q <(phantom --shape 9,64,40 --seed 6 -n 3) three.npy
    run -1 tensor-diff -q <("${eye[@]}" -n 3 --fluid 1) three.npy
}

@test "files beside the volume are readable, and do not change it" {
    "${eye[@]}" -n 2 > alone.npy
    "${eye[@]}" -n 2 -o all.npy --surfaces s.npy --vessels v.npy --clean c.npy
    cmp alone.npy all.npy
    [ "$(tensor-info s.npy | grep -cF 'f4 (6, 9, 40)')" -eq 2 ]
    tensor-info s.npy | grep -qF 'kind      surfaces, axes SDW'
    [ "$(tensor-info v.npy | grep -cF 'u1 (9, 40)')" -eq 2 ]
    tensor-info v.npy | grep -qF 'kind      en-face map, axes DW'
    tensor-info v.npy | grep -qF 'min 0, max 2'
    [ "$(tensor-info c.npy | grep -cF 'u1 (9, 64, 40)')" -eq 2 ]
    tensor-info c.npy | grep -qF 'kind      volume, axes DHW'
    run -1 tensor-diff -q c.npy all.npy
    run -0 octmetrics mad s.npy s.npy
    [[ "$output" == *"mad mean 0"* ]]
    tensor-view s.npy -o s.png
    tensor-view v.npy -o v.png
    tensor-to-tiff all.npy -o eye.tif
    tiff-to-tensor eye-000.tif eye-001.tif | same - all.npy
}

@test "a side file may take stdout, but no two outputs the same place" {
    "${eye[@]}" -o volume.npy --surfaces - > s.npy
    "${eye[@]}" --surfaces t.npy > other.npy
    same s.npy t.npy
    same volume.npy other.npy
    for options in "--clean -" "--surfaces x.npy --vessels x.npy" "-o x.npy --clean x.npy"; do
        run --separate-stderr "${eye[@]}" $options
        assert_trouble phantom "two outputs go to "
        [ ! -e x.npy ]
    done
}

@test "--depth moves an eye as a whole" {
    phantom --shape 9,64,40 --seed 5 --depth 2 --surfaces two.npy > volume.npy
    phantom --shape 9,32,40 --seed 5 --depth 1 --surfaces one.npy | tensor-info > info
    grep -qF "0.03125" info # mm along H
    # the same distance for each surface: rows of up to 64 in single precision
    octmetrics mad one.npy two.npy | awk '
        { low = NR == 1 || $3 < low ? $3 : low; high = $3 > high ? $3 : high }
        END { exit !(NR == 7 && high - low < 64 * 2 ^ -22) }'
}

@test "any shape works, odd and small ones too" {
    for shape in 1,1,1 1,64,64 5,7,3 3,65,17 2,640,31 64,1,2; do
        phantom --shape $shape --fluid 1 --surfaces s.npy --vessels v.npy --clean c.npy |
            tensor-info | grep -qF "(${shape//,/, })"
    done
    for wrong in "--shape 8,8" "--shape 0,8,8" "--shape 8,8,99999" "--fluid 2" "-n 0" "--depth 0"; do
        run --separate-stderr phantom $wrong
        assert_trouble phantom
    done
}

@test "a phantom goes through the stages that take volumes" {
    "${eye[@]}" | pad --multiple 16,64,64 --replicate | downsample -f 2 | tensor-info |
        grep -qF 'u1 (8, 32, 32)'
    [ "$("${eye[@]}" -n 2 | octmetrics tv | wc -l)" -eq 3 ]
}
