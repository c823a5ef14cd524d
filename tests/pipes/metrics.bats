# octmetrics: the measures of volumes, labels, surfaces and sets through the real program.

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

# Volumes (2,2,2) of one gray each, in as many arrays.
grays() {
    local gray
    for gray in "$@"; do
        head -c 8 /dev/zero | tr '\0' "\\$(printf %o "$gray")" | npy '|u1' "2, 2, 2"
    done
}

# A small 2-D encoder, and two sets of phantoms; folder is b.npy in two files.
sets() {
    init-weights autoencoder2d --width 8 --mult 1,2 --blocks 1 --groups 4 --codes 16 --seed 3 \
        -o encoder.safetensors
    phantom -q -n 3 --shape 6,16,10 --seed 1 -o a.npy
    phantom -q -n 2 --shape 6,16,10 --seed 2 -o b.npy
    mkdir folder
    tensor-pick --range 0 b.npy -o folder/1.npy
    tensor-pick --range 1 b.npy -o folder/2.npy
    echo "no array" > folder/readme
    fid=(octmetrics fid -q -w encoder.safetensors)
}

@test "differences of neighbouring slices" {
    printf '\0\0\377\0\0\377\0\0' | npy '|u1' "2, 2, 2" > a.npy
    [ "$(octmetrics slice-difference a.npy)" = "slice-difference 0.5" ]
    [ "$(octmetrics projection-difference a.npy)" = "projection-difference 0.5" ]
    printf '\0\0\377\0\377\0\0\0' | npy '|u1' "2, 2, 2" > a.npy
    [ "$(octmetrics slice-difference a.npy)" = "slice-difference 0.5" ]
    [ "$(octmetrics projection-difference < a.npy)" = "projection-difference 0" ]
}

@test "TSV is one line for all arrays, with their mean and standard deviation" {
    for step in 063 231; do # octal: 51 and 153 of 255
        printf "\\0\\$step" | npy '|u1' "2, 1, 1"
    done > a.npy
    run -0 octmetrics slice-difference --tsv a.npy
    [ "$output" = $'slice-difference\t0.4\t0.282842712\t2\t' ] # 0.2 and 0.6
    labels
    run -0 octmetrics dice --tsv a.npy b.npy
    [ "$output" = $'dice\t0.333333333\t\t1\t' ]
}

@test "a folder stands for its arrays, in the order of the names" {
    mkdir folder
    for gray in 3 1 2; do grays "$gray" > folder/$gray.npy; done
    grays 9 > folder/.hidden.npy
    run -0 octmetrics nearest -f 1 folder folder
    [ "${lines[1]}" = "nearest 1 0 1 folder/2.npy" ]
    [ "${#lines[@]}" -eq 5 ]
    mkdir empty
    run --separate-stderr octmetrics tv empty
    assert_trouble octmetrics "empty: the folder holds no *.npy"
}

@test "the nearest volume of another set, after area means" {
    grays 100 200 > a.npy
    { grays 0 151; printf '\144\310\144\310\144\310\144\310' | npy '|u1' "2, 2, 2"; } > b.npy
    run -0 octmetrics nearest --factor 1 a.npy b.npy
    # (200 - 151) / 255; half of the voxels differ by 100: 100 / 255 / sqrt(2)
    [ "${lines[0]}" = "nearest 0 0.2 1 b.npy" ]
    [ "${lines[1]}" = "nearest 1 0.192156863 1 b.npy" ]
    [ "${lines[2]}" = "nearest mean 0.196078431" ]
    run -0 octmetrics nearest --factor 2 a.npy - < b.npy
    [ "${lines[0]}" = "nearest 0 0.196078431 2 stdin" ] # the mean is 150
    run -0 octmetrics nearest --factor 2 --tsv a.npy b.npy
    [ "$output" = $'nearest\t0.194117647\t0.00277296777\t2\t3' ]
    tensor-cast --volume f4 a.npy > real.npy
    run -0 octmetrics nearest -f 2,1,1 --json real.npy a.npy
    [[ "${lines[1]}" == '{"measure":"nearest","array":1,"value":0,"match":1,"input":"a.npy"}' ]]
    run --separate-stderr octmetrics nearest a.npy b.npy
    assert_trouble octmetrics "a.npy: factor 4 does not fit 2 elements along D"
    run --separate-stderr octmetrics nearest -f 1,1 a.npy b.npy
    assert_trouble octmetrics "--factor has 2 numbers, not one or three"
    run --separate-stderr octmetrics nearest -f 1 --memory 64 a.npy b.npy
    assert_trouble octmetrics "3 small volumes take 96 bytes, beyond --memory"
    printf '\0' | npy '|u1' "1, 1, 1" > one.npy
    run --separate-stderr octmetrics nearest -f 1 a.npy one.npy
    assert_trouble octmetrics "one.npy: shapes differ: u1 (1, 1, 1) and u1 (2, 2, 2)"
}

@test "the Frechet distance of sets: files, folders, pipes, planes, one result" {
    sets
    run -0 "${fid[@]}" a.npy b.npy
    [[ "${lines[0]}" =~ ^fid-encoder-intra\ [0-9.e-]+\ of\ 18\ and\ 12\ slices$ ]]
    [[ "${lines[1]}" =~ ^fid-encoder-inter\ [0-9.e-]+\ of\ 78\ and\ 52\ slices$ ]]
    [ "${#lines[@]}" -eq 2 ]
    all=$output
    [ "$("${fid[@]}" a.npy folder)" = "$all" ]
    [ "$("${fid[@]}" - b.npy < a.npy)" = "$all" ]
    [ "$("${fid[@]}" --threads 1 --memory 40M a.npy b.npy)" = "$all" ]
    for plane in intra inter; do "${fid[@]}" --plane $plane a.npy b.npy; done > planes
    [ "$(cat planes)" = "$all" ]
    # The same set is at no distance but rounding; another order changes no more.
    "${fid[@]}" a.npy a.npy | awk '{ if ($2 > 1e-12) exit 1 }'
    "${fid[@]}" --tsv b.npy a.npy > tsv
    awk 'NR == FNR { value[$1] = $2; next }
         { d = $2 - value[$1]; if ($3 + $4 != 130 - 100 * (FNR == 1) || d * d > 1e-18 * $2 * $2) exit 1 }' <(echo "$all") tsv
    cut -f 3 tsv | grep -qx ''
    run -0 "${fid[@]}" --json a.npy b.npy
    [[ "${lines[0]}" == '{"measure":"fid-encoder-intra","value":'*',"slices":[18,12],"features":16}' ]]
}

@test "few slices are noted, and what the encoder does not take is refused" {
    sets
    run -0 --separate-stderr octmetrics fid -w encoder.safetensors --plane intra a.npy b.npy
    [ "$stderr" = "octmetrics: fid-encoder-intra: 12 slices of B do not span 16 features: the distance depends on their number" ]
    tensor-slice --range 0 a.npy | tensor-pick --range 0 > one.npy
    run --separate-stderr "${fid[@]}" --plane intra one.npy b.npy
    assert_trouble octmetrics "sets of 1 and 12 vectors: a covariance takes at least two"
    tensor-slice --range :5 a.npy > odd.npy
    run --separate-stderr "${fid[@]}" odd.npy b.npy
    assert_trouble octmetrics "odd.npy: slices (H,D) of 16x5: W = 5 is not a multiple of 2"
    run -0 "${fid[@]}" --plane intra odd.npy b.npy
    run --separate-stderr "${fid[@]}" --memory 100k a.npy b.npy
    assert_trouble octmetrics "the smallest plan needs"
    run --separate-stderr octmetrics fid a.npy b.npy
    assert_trouble octmetrics "fid takes the features of an encoder: -w FILE"
    run --separate-stderr "${fid[@]}" a.npy
    assert_trouble octmetrics "fid takes two files, A and B, not 1"
    run --separate-stderr "${fid[@]}" --json --tsv a.npy b.npy
    assert_trouble octmetrics "--json and --tsv exclude each other"
    noise --shape 2,4,8,8 -o latent.npy
    run --separate-stderr "${fid[@]}" a.npy latent.npy
    assert_trouble octmetrics "latent.npy: a volume u1 or f4 (D,H,W) is expected"
}

@test "wrong measures, operands and arrays are refused" {
    labels
    tiff-to-tensor "$eye" > eye.npy
    run --separate-stderr octmetrics
    assert_trouble octmetrics "operand"
    run --separate-stderr octmetrics sharpness eye.npy
    assert_trouble octmetrics "sharpness: no such measure; there are tv, slice-difference, "
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
