# The filters that know no network: noise, downsample, pad, crop, and the tensor tools.

bats_require_minimum_version 1.5.0
load assert

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# npy DESCR SHAPE: a bare NPY array of the payload on stdin, as NumPy writes it.
npy() {
    local dictionary="{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"
    printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$dictionary"
    cat
}

# bytes N: N bytes that differ from their neighbours.
bytes() {
    seq 1 100000 | tr -d '\n' | head -c "$1"
}

# payload FILE N: the first N bytes of the first array's payload.
payload() {
    local start=$((10 + $(od -An -tu2 -j 8 -N 2 "$1")))
    tail -c "+$((start + 1))" "$1" | head -c "$2"
}

# A volume u1 (D,H,W) and one of f4 in [-1,1].
volume() {
    bytes $(($1 * $2 * $3)) | npy '|u1' "$1, $2, $3"
}
real_volume() {
    volume "$@" | tensor-cast --volume f4
}

# flip FILE OFFSET: change a byte.
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\x$(printf %x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

# The command lines of every filter that maps volumes to arrays.
mapping=(
    "downsample -f 2"
    "downsample -f 2,1,3 --method area"
    "resize --to 5,9,17"
    "reslice --along H"
    "downsample -f 3 --method linear"
    "pad --multiple 4"
    "pad --to 9,20,20 --replicate"
    "crop --from 1,2,3 --to 2,3,4"
    "tensor-slice --range 2:4"
    "tensor-slice --axis 1 --range ::3"
    "tensor-split -n 2"
    "tensor-cast --to f8 --scale 2 --offset 1"
    "tensor-cast --volume f4"
)

@test "a file, stdin, a pipe and - give equal payloads" {
    volume 8 12 10 > a.npy
    for command in "${mapping[@]}" tensor-cat; do
        echo "$command"
        $command a.npy > file.npy
        $command < a.npy > stdin.npy
        cat a.npy | $command > pipe.npy
        cat a.npy | $command - -o dash.npy
        for other in stdin pipe dash; do
            same file.npy $other.npy
        done
    done
    [ "$(tensor-info a.npy | tail -n +2)" = "$(tensor-info < a.npy | tail -n +2)" ]
}

@test "two arrays in a stream equal two runs" {
    volume 8 12 10 > a.npy
    real_volume 5 9 11 > b.npy
    for command in "${mapping[@]}"; do
        echo "$command"
        $command a.npy > first.npy
        $command b.npy > second.npy
        cat first.npy second.npy > expected.npy
        cat a.npy b.npy | $command | same - expected.npy
        $command a.npy b.npy | same - expected.npy
    done
}

@test "marked and bare input give equal payloads" {
    volume 8 12 10 > bare.npy
    tensor-cast --to u1 bare.npy > marked.npy
    for command in "${mapping[@]}"; do
        echo "$command"
        $command bare.npy > expected.npy
        $command marked.npy | same - expected.npy
    done
}

@test "a broken input never yields output that reads as whole" {
    volume 8 12 10 | tensor-cast --to u1 > whole.npy
    size=$(stat -c %s whole.npy)
    cp whole.npy second.npy
    for command in "${mapping[@]}" tensor-cat; do
        echo "$command"
        for offset in 7 30 $((size - 1300)) $((size - 700)) $((size - 230)) $((size - 100)) cut cut1; do
            cp whole.npy broken.npy
            case $offset in
            cut) truncate -s 900 broken.npy ;;
            cut1) truncate -s -1 broken.npy ;;
            *) flip broken.npy "$offset" ;;
            esac
            status=0
            cat whole.npy broken.npy | $command > out.npy 2> message || status=$?
            [ "$status" -eq 2 ]
            [ "$(wc -l < message)" -eq 1 ]
            grep -q "^${command%% *}: stdin: array 2: " message
            run ! tensor-info out.npy
            run ! $command broken.npy -o never.npy
            [ ! -e never.npy ]
        done
    done
}

@test "the reasons of broken input are named" {
    volume 4 5 6 | tensor-cast --to u1 > whole.npy
    : > empty.npy
    run --separate-stderr tensor-info empty.npy
    assert_trouble tensor-info "empty.npy: empty"
    echo "some text that is no array" > text.npy
    run --separate-stderr tensor-info text.npy
    assert_trouble tensor-info "text.npy: not an NPY array (bad magic)"
    run --separate-stderr tensor-info whole.npy missing.npy
    assert_message tensor-info "missing.npy: No such file"
    head -c 250 whole.npy > cut.npy
    run --separate-stderr tensor-info cut.npy
    assert_trouble tensor-info "cut.npy: the payload is cut"
    run --separate-stderr tensor-info < <(cat cut.npy)
    assert_trouble tensor-info "stdin: the payload is cut"
    head -c $(($(stat -c %s whole.npy) - 200)) whole.npy > untrailed.npy
    run --separate-stderr tensor-info untrailed.npy
    assert_trouble tensor-info "untrailed.npy: "
    npy '|u1' '99999, 9999999, 9999999' < /dev/null > absurd.npy
    run --separate-stderr tensor-info absurd.npy
    assert_trouble tensor-info "absurd shape"
    volume 2 100 100 > wide.npy
    run --separate-stderr tensor-info --memory 9999 wide.npy
    assert_trouble tensor-info "absurd shape: u1 (2, 100, 100) has slices of 10000 bytes, beyond the bound of 9999"
    tensor-info --memory 10000 wide.npy
}

@test "noise: seed, shape, index and count say which numbers come" {
    noise --shape 3,4,5,6 --seed 7 -n 3 > three.npy
    for first in 0 1 2; do
        noise --shape 3,4,5,6 --seed 7 --first $first
    done > single.npy
    same three.npy single.npy
    run -1 tensor-diff -q <(noise --shape 3,4,5,6 --seed 8 -n 3) three.npy
    # slices depend on neither the number nor the size of the others
    noise --shape 2,4,5,6 --seed 7 | same - <(noise --shape 3,4,5,6 --seed 7 | tensor-slice --range :2)
    run -0 tensor-info <(noise --shape 3,4,5,6 --first 5)
    [[ "$output" == *"f4 (3, 4, 5, 6)"* ]]
    [[ "$output" == *"kind      latent, axes DCHW"* ]]
    [[ "$output" == *"index     5 of 6"* ]]
    run --separate-stderr noise --shape 3,4,5
    assert_trouble noise "--shape has 3 extents"
}

@test "noise is standard normal" {
    # 262144 numbers: mean and deviation within five standard errors, 5/sqrt(N) and 5/sqrt(2N)
    noise --shape 16,4,64,64 --seed 11 | tensor-info --json > info
    for bound in 'mean -0.0098 0.0098' 'deviation 0.9930 1.0070' 'max 3.5 6.5' 'min -6.5 -3.5'; do
        read -r name low high <<< "$bound"
        value=$(grep -o "\"$name\":[-0-9.]*" info | cut -d: -f2)
        awk -v v="$value" -v l="$low" -v h="$high" 'BEGIN { exit !(v > l && v < h) }'
    done
}

@test "resize: as downsample where that fits, and PyTorch's numbers" {
    real_volume 8 12 10 > a.npy
    for method in nearest area linear; do
        downsample -f 2,3,1 --method $method a.npy |
            same - <(resize --to 4,4,10 --method $method a.npy)
        resize --to 8,12,10 --method $method a.npy | same - a.npy
    done
    # interpolate(tensor([[[10, 20, 70]]]), size=5, mode=...) of PyTorch
    printf '\x0a\x14\x46' | npy '|u1' '1, 1, 3' > line.npy
    printf '\x0a\x0e\x14\x32\x46' | npy '|u1' '1, 1, 5' | same - <(resize --to 1,1,5 line.npy)
    printf '\x0a\x0f\x14\x2d\x46' | npy '|u1' '1, 1, 5' |
        same - <(resize --to 1,1,5 --method area line.npy)
    printf '\x0a\x0a\x14\x14\x46' | npy '|u1' '1, 1, 5' |
        same - <(resize --to 1,1,5 --method nearest line.npy)
    # the field of view stays
    phantom --shape 4,20,8 | resize --to 8,10,8 | tensor-info | grep -qF '0.75, 0.2, 0.75 mm'
    run --separate-stderr resize --to 4,4 a.npy
    assert_trouble resize "--to has 2 extents"
    run --separate-stderr resize --to 4,4,4 <(noise --shape 4,4,4,4)
    assert_trouble resize "a volume u1 or f4 (D,H,W) is expected"
}

@test "downsample: nearest, area and linear are what they say" {
    volume 8 12 10 > a.npy
    tensor-slice --range ::2 a.npy | tensor-slice --axis 1 --range ::2 |
        tensor-slice --axis 2 --range ::2 > expected.npy
    downsample a.npy | same - expected.npy
    real_volume 8 12 10 | downsample --method area > area.npy
    real_volume 8 12 10 | downsample --method linear | tensor-diff - area.npy --atol 1e-6
    printf '\x01\x02\x03\x04\x05\x06\x07\x0a' | npy '|u1' '2, 2, 2' | downsample --method area > mean.npy
    printf '\x05' | npy '|u1' '1, 1, 1' | same - mean.npy # 4.75
    [[ "$(downsample -f 3,1,2 a.npy | tensor-info | head -n 1)" == *"u1 (2, 12, 5)"* ]]
    [[ "$(real_volume 8 12 10 | downsample | tensor-info | head -n 1)" == *"f4 (4, 6, 5)"* ]]
    downsample -f 1 a.npy | same - a.npy
    run --separate-stderr downsample -f 9 a.npy
    assert_trouble downsample "a.npy: factor 9 does not fit 8 elements along D"
    run --separate-stderr downsample -f 2,2 a.npy
    assert_trouble downsample "--factor has 2 numbers"
    run --separate-stderr downsample <(noise --shape 4,4,4,4)
    assert_trouble downsample "a volume u1 or f4 (D,H,W) is expected"
}

@test "reslice moves every voxel, and twice restores the volume" {
    for kind in volume real_volume; do
        $kind 3 4 5 > a.npy
        for along in D H W; do
            reslice --along $along a.npy > cut.npy
            reslice --along $along cut.npy | same - a.npy
        done
        [[ "$(reslice --along H a.npy | tensor-info | head -n 1)" == *"(4, 3, 5)"* ]]
        [[ "$(reslice a.npy | tensor-info | head -n 1)" == *"(5, 4, 3)"* ]]
    done
    printf '\1\2\3\4\5\6\7\10\11\12\13\14' | npy '|u1' '2, 2, 3' > b.npy
    printf '\1\7\4\12\2\10\5\13\3\11\6\14' | npy '|u1' '3, 2, 2' | same - <(reslice b.npy)
    phantom --shape 4,20,8 --vessels /dev/null | reslice | tensor-info |
        grep -qF '0.75, 0.1, 1.5 mm along D, H, W'
    run --separate-stderr reslice <(noise --shape 4,4,4,4)
    assert_trouble reslice "a volume u1 or f4 (D,H,W) is expected"
    run --separate-stderr reslice --memory 59 <(volume 3 4 5)
    assert_trouble reslice "the volume takes 60 bytes, beyond --memory"
}

@test "pad and crop undo each other, also across a change of size" {
    volume 5 6 7 > a.npy
    for fill in "" "--value 9" --replicate; do
        pad --multiple 4,8,16 $fill a.npy > padded.npy
        [[ "$(tensor-info padded.npy | head -n 1)" == *"u1 (8, 8, 16)"* ]]
        crop padded.npy | same - a.npy
        pad --multiple 3 $fill padded.npy | crop | same - a.npy
    done
    volume 6 6 6 > b.npy
    downsample b.npy > small.npy
    pad --to 8,8,8 b.npy | downsample | crop | same - small.npy
    pad --multiple 2 b.npy | same - b.npy
    crop b.npy | same - b.npy
    noise --shape 3,4,5,6 > z.npy
    pad --multiple 4 z.npy | tensor-info | grep -qF 'f4 (4, 4, 8, 8)'
    pad --multiple 4 z.npy | crop | same - z.npy
}

@test "padding is black, zero in a latent, or what is asked for" {
    printf 'ab' | npy '|u1' '1, 1, 2' > a.npy
    printf 'ab\0\0\0\0\0\0' | npy '|u1' '2, 2, 2' | same - <(pad --to 2,2,2 a.npy)
    printf 'ab\7\7\7\7\7\7' | npy '|u1' '2, 2, 2' | same - <(pad --to 2,2,2 --value 7 a.npy)
    printf 'abbabbabbabb' | npy '|u1' '2, 2, 3' | same - <(pad --to 2,2,3 --replicate a.npy)
    tensor-cast --volume f4 a.npy | pad --to 2,1,2 | tensor-slice --range 1 > fill.npy
    tensor-info fill.npy | grep -qF 'min -1, max -1'
    noise --shape 1,2,3,4 | pad --to 2,3,4 | tensor-slice --range 1 | tensor-info |
        grep -qF 'min 0, max 0'
    for wrong in "" "--to 2,2,2 --multiple 2" "--to 2,2" "--to 2,2,2 --value 1 --replicate" \
        "--to 1,1,1"; do
        run --separate-stderr pad $wrong a.npy
        assert_trouble pad
    done
}

@test "crop cuts a box and refuses one that does not fit" {
    volume 5 6 7 > a.npy
    tensor-slice --range 1:3 a.npy | tensor-slice --axis 1 --range 2:5 |
        tensor-slice --axis 2 --range 3:7 > expected.npy
    crop --from 1,2,3 --to 2,3,4 a.npy | same - expected.npy
    crop --from 1,2,3 a.npy | same - <(crop --from 1,2,3 --to 4,4,4 a.npy)
    for wrong in "--to 6,6,7" "--from 5,0,0" "--from 1,0,0 --to 5,1,1" "--from 1,2" "--to 3" \
        "--from -1,0,0" "--to 9223372036854775807,1,1"; do
        run --separate-stderr crop $wrong a.npy
        assert_trouble crop
    done
}

@test "tensor-slice reads ranges as Python does, and tensor-cat puts them together" {
    noise --shape 5,4,3,2 > a.npy
    for axis in 0 1 2 3 -1 -4; do
        tensor-slice --axis $axis --range :1 a.npy > low.npy
        tensor-slice --axis $axis --range 1: a.npy > high.npy
        tensor-cat --axis $axis low.npy high.npy | same - a.npy
        tensor-slice --axis $axis --range -1 a.npy |
            same - <(tensor-slice --axis $axis --range -1: a.npy)
    done
    tensor-slice --range 1:5:2 a.npy |
        same - <(tensor-cat <(tensor-slice --range 1 a.npy) <(tensor-slice --range 3 a.npy))
    for wrong in "--range 5:" "--range 2:2" "--range ::0" "--range x" "--axis 4 --range 0" "" \
        "--axis -5 --range 0"; do
        run --separate-stderr tensor-slice $wrong a.npy
        assert_trouble tensor-slice
    done
}

@test "tensor-cat joins what fits, along an old axis or a new one" {
    volume 2 3 4 > a.npy
    volume 5 3 4 > b.npy
    [[ "$(tensor-cat a.npy b.npy a.npy | tensor-info | head -n 1)" == *"u1 (9, 3, 4)"* ]]
    for axis in 0 1 2 3; do
        tensor-cat --stack --axis $axis a.npy a.npy | tensor-slice --axis $axis --range 1 > one.npy
        cmp <(payload one.npy 24) <(payload a.npy 24)
    done
    [[ "$(tensor-cat --stack --axis 1 a.npy a.npy | tensor-info | head -n 1)" == *"u1 (2, 2, 3, 4)"* ]]
    printf 'abcd' | npy '|u1' '4,' > row.npy
    printf 'efgh' | npy '|u1' '4,' > other.npy
    printf 'abcdefgh' | npy '|u1' '2, 4' | same - <(tensor-cat --stack row.npy other.npy)
    printf 'aebfcgdh' | npy '|u1' '4, 2' | same - <(tensor-cat --stack --axis -1 row.npy other.npy)
    printf 'a' | npy '|u1' '' > scalar.npy
    tensor-cat --stack scalar.npy scalar.npy | tensor-info | grep -qF 'u1 (2,)'
    run --separate-stderr tensor-cat --axis 1 a.npy b.npy
    assert_trouble tensor-cat "b.npy: array 2, u1 (5, 3, 4), does not fit the first, u1 (2, 3, 4)"
    run --separate-stderr tensor-cat a.npy <(tensor-cast --to f4 a.npy)
    assert_trouble tensor-cat "does not fit"
    run --separate-stderr tensor-cat scalar.npy
    assert_trouble tensor-cat "no axis 0 in u1 ()"
    run --separate-stderr tensor-cat --memory 47 a.npy a.npy
    assert_trouble tensor-cat "beyond --memory"
}

@test "tensor-split makes arrays or files, tensor-cat joins them" {
    volume 7 3 4 > a.npy
    for n in 1 2 3 7 100; do
        tensor-split -n $n a.npy | tensor-cat | same - a.npy
    done
    [ "$(tensor-split -n 3 a.npy | tensor-info | grep -c 'array')" -eq 3 ]
    mkdir files
    cat a.npy a.npy | tensor-split -n 3 -o files/piece-%02d.npy
    [ "$(ls files | tr '\n' ' ')" = "piece-00.npy piece-01.npy piece-02.npy piece-03.npy piece-04.npy piece-05.npy " ]
    tensor-cat files/piece-0[012].npy | same - a.npy
    tensor-info files/piece-04.npy | grep -qF 'index     4'
    rm files/*
    tensor-cast --to u1 a.npy > marked.npy
    truncate -s -1 marked.npy
    run -2 --separate-stderr tensor-split marked.npy -o files/piece-%02d.npy
    [ -z "$(ls -A files)" ]
    run -2 --separate-stderr tensor-split a.npy -o 'files/%s.npy'
    printf 'a' | npy '|u1' '' > scalar.npy
    run --separate-stderr tensor-split scalar.npy
    assert_trouble tensor-split "cannot be split"
}

@test "tensor-cast converts types and volumes" {
    for byte in $(seq 0 255); do
        printf "\\x$(printf %x "$byte")"
    done | npy '|u1' '1, 16, 16' > a.npy
    tensor-cast --volume f4 a.npy > real.npy
    tensor-info real.npy | grep -qF 'min -1, max 1, mean'
    tensor-cast --volume u1 real.npy | same - a.npy
    tensor-cast --volume u1 a.npy | same - a.npy
    tensor-cast --volume f4 real.npy | same - real.npy
    tensor-cast --to f8 real.npy | tensor-cast --volume u1 | same - a.npy
    for type in f2 f4 f8 u2 i2 u4 i4 u8 i8; do
        tensor-cast --to $type a.npy > cast.npy
        tensor-info cast.npy | grep -qF " $type (1, 16, 16)"
        same cast.npy a.npy
        tensor-cast --to u1 cast.npy | same - a.npy
    done
    tensor-cast --to i1 a.npy | tensor-info | grep -qF 'min 0, max 127'
    tensor-cast --to b1 a.npy | tensor-info | grep -qF 'min 0, max 1,'
    tensor-cast --to f4 --scale 3 --offset -2 real.npy | tensor-cast --volume u1 > clamped.npy
    tensor-info clamped.npy | grep -qF 'min 0, max 255'
    tensor-cast --to f4 --scale 0.5 --offset 4 a.npy | tensor-info | grep -qF 'min 4, max 131.5'
    printf '\0\0\xc0\x7f' | npy '<f4' '1, 1, 1' > nan.npy
    for how in "--to u1" "--volume u1"; do
        run --separate-stderr tensor-cast $how nan.npy
        assert_message tensor-cast " holds NaN"
    done
    bytes 300000 | npy '|u1' '300000,' > long.npy # more than is held at a time
    tensor-cast --to f4 long.npy | tensor-diff - long.npy
    tensor-cast --to f4 long.npy | tensor-cast --to u1 > back.npy
    cmp <(payload back.npy 300000) <(payload long.npy 300000)
    tensor-info long.npy | grep -qF 'u1 (300000,), 300000 bytes'
    tensor-cast --to f8 nan.npy | tensor-info | grep -qF '1 NaN'
    for wrong in "" "--to f4 --volume u1" "--volume u1 --scale 2" "--to f3" "--volume u2"; do
        run --separate-stderr tensor-cast $wrong a.npy
        assert_trouble tensor-cast
    done
    printf '\xff\xff\xff\xff\xff\xff\xff\x7f' | npy '<i8' '1,' > large.npy
    tensor-cast --to i8 large.npy > kept.npy
    cmp <(payload kept.npy 8) <(payload large.npy 8)
}

@test "tensor-diff: the exit code is the verdict" {
    noise --shape 2,4,5,6 --seed 1 > a.npy
    tensor-cast --to f4 --offset 0.001 a.npy > b.npy
    run -0 --separate-stderr tensor-diff a.npy a.npy
    [[ "$output" == "array 1: max abs 0 at "*", relative L2 0" ]]
    run -1 --separate-stderr tensor-diff a.npy b.npy
    [[ "$output" == *"not alike: 240 of 240 elements beyond the tolerance"* ]]
    [ -z "$stderr" ]
    run -0 tensor-diff a.npy b.npy --atol 0.00101
    run -1 tensor-diff a.npy b.npy --atol 0.00099
    run -0 tensor-diff a.npy b.npy --l2 0.002
    run -1 tensor-diff a.npy b.npy --l2 0.0001
    run -1 tensor-diff a.npy b.npy --l2 0.002 --rtol 1e-9
    tensor-cast --to f4 --scale 1.001 a.npy > c.npy
    run -0 tensor-diff c.npy a.npy --rtol 0.00101
    run -1 tensor-diff c.npy a.npy --rtol 0.00099
    run -1 --separate-stderr tensor-diff -q a.npy b.npy
    [ -z "$output$stderr" ]
    tensor-cast --to f8 a.npy | tensor-diff - a.npy
    run -1 tensor-diff a.npy <(tensor-slice --range :1 a.npy)
    [[ "$output" == *"not alike: f4 (2, 4, 5, 6) and f4 (1, 4, 5, 6)" ]]
    cat a.npy a.npy > two.npy
    run -1 tensor-diff two.npy a.npy
    [[ "$output" == *"array 2: not alike: it is in two.npy only" ]]
    run -1 tensor-diff a.npy two.npy
    [[ "$output" == *"it is in two.npy only" ]]
    cat a.npy b.npy > mixed.npy
    run -1 tensor-diff mixed.npy two.npy
    printf '\0\0\xc0\x7f' | npy '<f4' '1,' > nan.npy
    run -1 tensor-diff nan.npy nan.npy --l2 1
    [[ "$output" == *"1 elements are NaN"* ]]
    head -c 300 a.npy > cut.npy
    run --separate-stderr tensor-diff a.npy cut.npy
    assert_trouble tensor-diff "cut.npy: "
    run --separate-stderr tensor-diff cut.npy a.npy
    assert_trouble tensor-diff "cut.npy: "
    run --separate-stderr tensor-diff - - < a.npy
    assert_trouble tensor-diff "both inputs are stdin"
    run --separate-stderr tensor-diff a.npy
    assert_trouble tensor-diff
}

@test "tensor-info tells shape, metadata, statistics and checksum" {
    noise --shape 2,4,5,6 --seed 1 | pad --multiple 4 > a.npy
    volume 4 5 6 > b.npy
    run -0 tensor-info a.npy b.npy
    [[ "$output" == *"a.npy: array 1: f4 (4, 4, 8, 8), 4096 bytes"* ]]
    [[ "$output" == *"padded    from (2, 5, 6) to (4, 8, 8)"* ]]
    [[ "$output" == *"history   noise --shape 2,4,5,6 --seed 1"* ]]
    [[ "$output" == *"          pad --multiple 4"* ]]
    [[ "$output" == *"checksum  good"* ]]
    [[ "$output" == *"b.npy: array 1: u1 (4, 5, 6), 120 bytes"* ]]
    [[ "$output" == *"checksum  none"* ]]
    [ "$(cat a.npy b.npy | tensor-info | grep -o '^stdin: array [12]' | tr '\n' ' ')" = "stdin: array 1 stdin: array 2 " ]
    run -0 tensor-info --json a.npy b.npy
    [ "${#lines[@]}" -eq 2 ]
    [[ "${lines[0]}" == '{"input":"a.npy","array":1,"type":"f4","shape":[4,4,8,8],"checksum":"good","metadata":{"version":1,"kind":"latent","axes":"DCHW","original":[2,5,6],"padded":[4,8,8],"index":0,"of":1,'* ]]
    printf '\0\0\xc0\x7f\0\0\x80\xff\0\0\x80\x3f' | npy '<f4' '3,' > nan.npy
    run -0 tensor-info nan.npy
    [[ "$output" == *"not finite  1 NaN, 1 infinite"* ]]
    [[ "$output" == *"min 1, max 1, mean 1, deviation 0"* ]]
    printf '\0\0\xc0\x7f' | npy '<f4' '' | tensor-info --json | grep -qF '"nan":1,"infinite":0}'
}

@test "memory does not grow with the number of slices" {
    [ -z "$SANITIZE" ] || skip "address sanitizer reserves its own memory"
    export OMP_NUM_THREADS=1
    # 400 MB in slices of 1 MB, in less memory than half of it
    for command in "downsample" "pad --multiple 3" "crop --to 9,9,9" "tensor-slice --range 3:" \
        "tensor-split -n 40" "tensor-cast --volume u1"; do
        echo "$command"
        head -c 400M /dev/zero | npy '|u1' '400, 1024, 1024' |
            (ulimit -v 190000 && $command) | tail -c 1 | cmp - <(printf ' ')
    done
}
