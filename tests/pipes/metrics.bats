# octmetrics: the measures of volumes, labels and surfaces through the real program.

bats_require_minimum_version 1.5.0
load assert

setup() {
    eye=$(realpath "$BATS_TEST_DIRNAME/../../testdata/eye-32x64x64.tif")
    cd "$BATS_TEST_TMPDIR" || return
}

# npy DESCR SHAPE: a bare NPY array of the payload on stdin.
npy() {
    printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' \
        "{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"
    cat
}

# Labels (1,2,4) that agree in part, and surfaces (2,1,2) one and a half pixels apart.
labels() {
    printf '\0\1\1\1\0\0\7\7' | npy '|u1' "1, 2, 4" > a.npy
    printf '\0\1\1\0\0\1\0\0' | npy '|u1' "1, 2, 4" > b.npy
}
surfaces() {
    printf '\0\0\0\0\0\0\x80\x3f\0\0\0\x40\0\0\x40\x40' | npy '<f4' "2, 1, 2" > a.npy # 0 1 2 3
    printf '\0\0\x80\x3f\0\0\0\x40\0\0\0\0\0\0\x80\x3f' | npy '<f4' "2, 1, 2" > b.npy # 1 2 0 1
}

@test "total variation of a file, of stdin, of u1 and of f4 is one number" {
    tiff-to-tensor "$eye" > eye.npy
    tiff-to-tensor --range 0,255 "$eye" > real.npy
    octmetrics tv eye.npy > file
    octmetrics tv < eye.npy > stdin
    tiff-to-tensor "$eye" | octmetrics tv - > dash
    octmetrics tv real.npy > real
    grep -qxE 'tv [0-9]+\.[0-9]+' file
    cmp file stdin
    cmp file dash
    # f4 holds the grays to 6e-8, so the sum of squares to 1e-6 or so.
    awk 'NR == FNR { a = $2; next } { d = $2 - a; exit !(d * d < 1e-10 * a * a) }' file real
    [ "$(printf '\0\377\0\0\0\0\0\0' | npy '|u1' "2, 2, 2" | octmetrics tv)" = "tv 1.73205081" ]
}

@test "every array has its line" {
    tiff-to-tensor "$eye" "$eye" > two.npy
    run -0 octmetrics tv two.npy
    [ "${#lines[@]}" -eq 2 ]
    [ "${lines[0]}" = "${lines[1]}" ]
    run -0 octmetrics psnr --json two.npy two.npy
    [ "$output" = $'{"measure":"psnr","array":0,"value":null}\n{"measure":"psnr","array":1,"value":null}' ]
    run -0 octmetrics psnr two.npy - < two.npy
    [ "$output" = $'psnr inf\npsnr inf' ]
    run -0 octmetrics ssim - two.npy < two.npy
    [ "$output" = $'ssim 1\nssim 1' ]
}

@test "dice and iou per class, with and without the background" {
    labels
    run -0 octmetrics dice a.npy b.npy
    [ "$output" = $'dice 1 0.666666667\ndice 7 0\ndice mean 0.333333333' ]
    run -0 octmetrics iou a.npy b.npy --background
    [ "$output" = $'iou 0 0.333333333\niou 1 0.5\niou 7 0\niou mean 0.277777778' ]
    run -0 octmetrics --json iou a.npy b.npy
    [ "$output" = '{"measure":"iou","array":0,"mean":0.25,"parts":{"1":0.5,"7":0}}' ]
}

@test "mean absolute distance per surface" {
    surfaces
    run -0 octmetrics mad a.npy b.npy
    [ "$output" = $'mad 0 1\nmad 1 2\nmad mean 1.5' ]
}

@test "psnr and ssim of a shifted gray" {
    tiff-to-tensor "$eye" > eye.npy
    for gray in 100 110; do
        head -c 242 /dev/zero | tr '\0' "\\$(printf %o $gray)" | npy '|u1' "2, 11, 11" > $gray.npy
    done
    [ "$(octmetrics psnr 100.npy 110.npy)" = "psnr 28.1308036" ] # 20·log10(25.5)
    [ "$(octmetrics ssim 100.npy 110.npy)" = "ssim 0.995476444" ] # (22000 + c1)/(22100 + c1)
}

@test "wrong measures, operands and arrays are refused" {
    labels
    tiff-to-tensor "$eye" > eye.npy
    run --separate-stderr octmetrics
    assert_trouble octmetrics "operand"
    run --separate-stderr octmetrics sharpness eye.npy
    assert_trouble octmetrics "sharpness: no such measure; there are tv, dice, iou, mad, psnr, ssim"
    run --separate-stderr octmetrics psnr eye.npy
    assert_trouble octmetrics "psnr takes two files"
    run --separate-stderr octmetrics dice a.npy b.npy a.npy
    assert_trouble octmetrics "dice takes two files"
    run --separate-stderr octmetrics dice - - < a.npy
    assert_trouble octmetrics "stdin cannot be both"
    run --separate-stderr octmetrics dice a.npy eye.npy
    assert_trouble octmetrics "dice measures labels (D,H,W) of u1, not volume u1 (32, 64, 64)"
    run --separate-stderr octmetrics mad a.npy b.npy
    assert_trouble octmetrics "mad measures surfaces (S,D,W) of f4"
    run --separate-stderr octmetrics psnr a.npy eye.npy
    assert_trouble octmetrics "shapes differ: u1 (1, 2, 4) and u1 (32, 64, 64)"
    run --separate-stderr octmetrics ssim a.npy b.npy
    assert_trouble octmetrics "smaller than SSIM's window"
    cat a.npy a.npy > two.npy
    run --separate-stderr octmetrics psnr eye.npy missing.npy
    assert_trouble octmetrics "missing.npy"
}

@test "inputs of different length, and broken ones, are refused" {
    labels
    cat a.npy a.npy > two.npy
    run --separate-stderr octmetrics dice a.npy two.npy
    [ "$status" -eq 2 ]
    [ "$stderr" = "octmetrics: a.npy: fewer arrays than two.npy" ]
    run --separate-stderr octmetrics dice two.npy a.npy
    [ "$status" -eq 2 ]
    [ "$stderr" = "octmetrics: two.npy: more arrays than a.npy" ]
    tiff-to-tensor "$eye" > eye.npy
    cp eye.npy broken.npy
    printf 'x' | dd of=broken.npy bs=1 seek=9000 conv=notrunc status=none
    run --separate-stderr octmetrics psnr eye.npy broken.npy
    assert_trouble octmetrics "broken.npy: wrong checksum"
    run --separate-stderr octmetrics psnr broken.npy eye.npy
    assert_trouble octmetrics "broken.npy: wrong checksum"
    printf '\0\0\xc0\x7f' | npy '<f4' "1, 1, 1" > nan.npy
    run --separate-stderr octmetrics tv nan.npy
    assert_trouble octmetrics "nan.npy: "
}
