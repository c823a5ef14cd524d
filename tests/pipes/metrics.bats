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

@test "every array has its line, and several have one together" {
    tiff-to-tensor "$eye" "$eye" > two.npy
    run -0 octmetrics tv two.npy
    [ "${#lines[@]}" -eq 3 ]
    [ "${lines[0]}" = "${lines[1]}" ]
    [ "${lines[2]}" = "${lines[0]} deviation 0 of 2 arrays" ]
    run -0 octmetrics psnr --json two.npy two.npy
    [ "${lines[0]}" = '{"measure":"psnr","array":0,"value":null}' ]
    [ "${lines[1]}" = '{"measure":"psnr","array":1,"value":null}' ]
    [ "${lines[2]}" = '{"measure":"psnr","arrays":2,"mean":null,"deviation":null}' ]
    run -0 octmetrics psnr two.npy - < two.npy
    [ "$output" = $'psnr inf\npsnr inf\npsnr inf of 2 arrays' ]
    run -0 octmetrics ssim - two.npy < two.npy
    [ "$output" = $'ssim 1\nssim 1\nssim 1 deviation 0 of 2 arrays' ]
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

@test "missing surfaces are left out, and said" {
    surfaces
    { cat a.npy; printf '\0\0\xc0\x7f\0\0\x80\x3f\0\0\xc0\x7f\0\0\xc0\x7f' | npy '<f4' "2, 1, 2"; } > two.npy
    cat b.npy b.npy > other.npy
    run -0 --separate-stderr octmetrics mad two.npy other.npy
    [ "${lines[3]}" = "mad 0 1" ]
    [ "${lines[4]}" = "mad 1 nan" ]
    [ "${lines[5]}" = "mad mean 1" ]
    [ "${lines[6]}" = "mad 0 1 deviation 0 of 2 arrays" ]
    [ "${lines[7]}" = "mad 1 2 of 1 array" ]
    [ "${lines[8]}" = "mad mean 1.25 deviation 0.353553391 of 2 arrays" ]
    [ "$stderr" = "octmetrics: mad: 3 positions where A or B has no surface are left out" ]
    run -0 octmetrics mad --json -q two.npy other.npy
    [ "${lines[1]}" = '{"measure":"mad","array":1,"mean":1,"parts":{"0":1,"1":null},"left_out":3}' ]
}

@test "dice over arrays: each class of those that have it" {
    labels
    printf '\0\1\1\0\0\1\0\0' | npy '|u1' "1, 2, 4" > c.npy
    cat a.npy c.npy > truth.npy
    cat b.npy b.npy > result.npy
    run -0 octmetrics dice truth.npy result.npy
    [ "${lines[5]}" = "dice 1 0.833333333 deviation 0.23570226 of 2 arrays" ]
    [ "${lines[6]}" = "dice 7 0 of 1 array" ]
    [ "${lines[7]}" = "dice mean 0.666666667 deviation 0.471404521 of 2 arrays" ]
    run -0 octmetrics dice --tsv truth.npy result.npy
    [ "$output" = $'dice-1\t0.833333333\t0.23570226\t2\t\ndice-7\t0\t\t1\t\ndice\t0.666666667\t0.471404521\t2\t' ]
}

@test "total variation by name" {
    printf '\377\0\0\0\0\0\0\0' | npy '|u1' "2, 2, 2" > corner.npy
    run -0 octmetrics tv --tv anisotropic corner.npy
    [ "$output" = "tv-anisotropic 3" ]
    run -0 octmetrics tv --tv isotropic --tsv corner.npy
    [ "$output" = $'tv-isotropic\t1.73205081\t\t1\t' ]
    run -0 octmetrics tv --tv isotropic-mean corner.npy
    [ "$output" = "tv-isotropic-mean 0.216506351" ]
    run -0 octmetrics tv --tv paper corner.npy
    [ "$output" = "tv 1.73205081" ]
}

# Volumes of slices 176x176, or of another size.
waves() {
    phantom -q -n "$1" --shape "2,${3:-176,176}" --seed "$2"
}

@test "MS-SSIM of volumes, and the diversity of a set" {
    waves 3 1 > a.npy
    waves 3 2 > b.npy
    run -0 octmetrics ms-ssim a.npy a.npy
    [ "${lines[3]}" = "ms-ssim 1 deviation 0 of 3 arrays" ]
    # All pairs of two volumes and one, by the measure of two.
    mkdir set
    tensor-pick --range :2 a.npy -o set/1.npy
    tensor-pick --range 2 a.npy -o set/2.npy
    { tensor-pick --range 0 a.npy; tensor-pick --range 0 a.npy; tensor-pick --range 1 a.npy; } > first.npy
    { tensor-pick --range 1 a.npy; tensor-pick --range 2 a.npy; tensor-pick --range 2 a.npy; } > second.npy
    expected=$(octmetrics ms-ssim first.npy second.npy | sed -n '4s/ms-ssim \(.*\) of 3 arrays/ms-ssim-diversity \1 of 3 pairs of 3 volumes/p')
    [ -n "$expected" ]
    [ "$(octmetrics ms-ssim-diversity set)" = "$expected" ]
    [ "$(octmetrics ms-ssim-diversity --threads 1 a.npy)" = "$expected" ]
    [ "$(octmetrics ms-ssim-diversity set/1.npy set/2.npy --seed 5)" = "$expected" ]
    # Two of the fifteen pairs of six.
    run -0 octmetrics ms-ssim-diversity --pairs 2 --seed 3 a.npy b.npy
    [[ "$output" =~ ^ms-ssim-diversity\ 0\.[0-9]+\ deviation\ [0-9.e-]+\ of\ 2\ pairs\ of\ 6\ volumes$ ]]
    two=$output
    [ "$(octmetrics ms-ssim-diversity --pairs 2 --seed 3 a.npy b.npy)" = "$two" ]
    for seed in 4 5 6 7; do octmetrics ms-ssim-diversity --pairs 2 --seed $seed a.npy b.npy; done > others
    [ "$(sort -u others | wc -l)" -gt 1 ]
    run -0 octmetrics ms-ssim-diversity --tsv a.npy
    [[ "$output" == ms-ssim-diversity$'\t'0.*$'\t'*$'\t'3$'\t' ]]
    run -0 octmetrics ms-ssim-diversity --json a.npy
    [[ "$output" == '{"measure":"ms-ssim-diversity","value":0.'*',"pairs":3,"volumes":3}' ]]
}

@test "MS-SSIM of small slices takes fewer scales, and diversity a set of files" {
    waves 2 1 48,50 > a.npy
    run --separate-stderr octmetrics ms-ssim a.npy a.npy
    assert_trouble octmetrics "slices of 48x50 are smaller than SSIM's window at the last scale of 176x176"
    run -0 octmetrics ms-ssim --scales 3 --tsv a.npy a.npy
    [ "$output" = $'ms-ssim-3-scales\t1\t0\t2\t' ]
    run -0 octmetrics ms-ssim-diversity --scales 3 a.npy
    [[ "$output" =~ ^ms-ssim-3-scales-diversity\ 0\.[0-9]+\ of\ 1\ pair\ of\ 2\ volumes$ ]]
    run --separate-stderr octmetrics ms-ssim-diversity
    assert_trouble octmetrics "ms-ssim-diversity takes files or folders, not stdin"
    run --separate-stderr octmetrics ms-ssim-diversity a.npy - < a.npy
    assert_trouble octmetrics "the volumes are read more than once: files, not stdin"
    tensor-pick --range 0 a.npy > one.npy
    run --separate-stderr octmetrics ms-ssim-diversity --scales 3 one.npy
    assert_trouble octmetrics "one.npy: pairs take two volumes at least"
    waves 1 1 48,51 > other.npy
    run --separate-stderr octmetrics ms-ssim-diversity --scales 3 a.npy other.npy
    assert_trouble octmetrics "other.npy: shapes differ: "
}

@test "LPIPS by a file of weights" {
    checkpoints=$BATS_TEST_DIRNAME/../../testdata/checkpoints
    import-checkpoint -q --part lpips "$checkpoints/vgg16.pth" "$checkpoints/lpips.pth" -o lpips.safetensors
    waves 2 1 20,17 > a.npy
    waves 2 2 20,17 > b.npy
    run -0 octmetrics lpips -w lpips.safetensors a.npy b.npy
    [[ "${lines[0]}" =~ ^lpips\ [0-9.e-]+$ ]]
    [ "${#lines[@]}" -eq 3 ]
    all=$output
    [ "$(octmetrics lpips -w lpips.safetensors --threads 1 b.npy - < a.npy)" = "$all" ]
    run -0 octmetrics lpips -w lpips.safetensors --tsv a.npy a.npy
    [ "$output" = $'lpips\t0\t0\t2\t' ]
    run --separate-stderr octmetrics lpips a.npy b.npy
    assert_trouble octmetrics "lpips takes the weights of VGG-16 and LPIPS: -w FILE"
    run --separate-stderr octmetrics lpips -w lpips.safetensors --memory 10k a.npy b.npy
    assert_trouble octmetrics "the smallest plan needs"
    tensor-slice --range 0 a.npy | crop --to 1,15,17 > small.npy
    run --separate-stderr octmetrics lpips -w lpips.safetensors small.npy small.npy
    assert_trouble octmetrics "slices of 15x17 are smaller than the 16x16 that LPIPS takes"
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
    [ "$output" = $'dice-1\t0.666666667\t\t1\t\ndice-7\t0\t\t1\t\ndice\t0.333333333\t\t1\t' ]
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
    assert_trouble octmetrics "fid takes the features of a network: -w FILE"
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
