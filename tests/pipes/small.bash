# What tests of the network filters share: small weights, and looking into streams and weight files.

# Weights of every part of the cascade, and a cascade of tiny ones, into the current folder.
make_weights() {
    init-weights nhae --width 16 --width2d 32 --mult 1,1,2,2 --groups 8 --codes 256 --blocks 1 \
        -o nhae.safetensors
    init-weights ldm3d --width 32 --mult 1,2 --blocks 1 --attention 2 --groups 8 \
        -o ldm3d.safetensors
    init-weights refiner --width 32 --mult 1,2 --blocks 1 --attention 2 --groups 8 \
        -o refiner.safetensors
    init-weights multislice --width 32 --mult 1,1,2,2 --groups 8 --codes 256 --blocks 1 \
        -o multislice.safetensors
    init-weights refiner --width 8 --mult 1,2 --blocks 1 --attention 0 --groups 4 \
        -o tiny-refiner.safetensors
    init-weights multislice --width 8 --mult 1,1,1,1 --groups 4 --codes 64 --blocks 1 \
        -o tiny-multislice.safetensors
}

# For each network filter: its command, and an input that is small and of no round size.
# shellcheck disable=SC2034 # used by the tests
networks=(encode3d encode2d latent-sr diffuse3d refine-slice decode-multislice)
# shellcheck disable=SC2034
declare -gA command=(
    [encode3d]="encode3d -w nhae.safetensors"
    [encode2d]="encode2d -w nhae.safetensors"
    [latent-sr]="latent-sr -w nhae.safetensors"
    [diffuse3d]="diffuse3d -w ldm3d.safetensors --steps 2"
    [refine-slice]="refine-slice -w refiner.safetensors --steps 2"
    [decode-multislice]="decode-multislice -w multislice.safetensors"
)
make_inputs() {
    tiff-to-tensor "$BATS_TEST_DIRNAME/../../testdata/eye-32x64x64.tif" > eye.npy
    crop --to 8,12,20 --from 3,20,7 eye.npy > encode3d.npy
    crop --to 5,16,24 --from 9,20,7 eye.npy > encode2d.npy
    noise --shape 6,4,13,21 --seed 3 > latent-sr.npy
    noise --shape 4,4,6,10 --seed 4 > diffuse3d.npy
    noise --shape 9,4,4,6 --seed 5 > refine-slice.npy
    noise --shape 7,4,3,5 --seed 6 > decode-multislice.npy
}

# Into the test's own folder, with links to what setup_file made.
link_files() {
    cd "$BATS_TEST_TMPDIR" || return
    ln -s "$BATS_FILE_TMPDIR"/* .
}

# bytes FILE FROM COUNT
bytes() {
    dd if="$1" iflag=skip_bytes,count_bytes skip="$2" count="$3" bs=1M status=none
}

# The bytes of all arrays of a stream, without headers and trailers.
payload() {
    local at=0 size length header count extent
    local pattern="'descr': '.[a-z]([1248])'.*'shape': \(([0-9, ]*)\)"
    size=$(stat -L -c %s "$1")
    while ((at < size)); do
        length=$(od -An -tu2 -j $((at + 8)) -N 2 "$1")
        header=$(bytes "$1" $((at + 10)) $((length)))
        [[ $header =~ $pattern ]] || return
        count=${BASH_REMATCH[1]}
        for extent in ${BASH_REMATCH[2]//,/ }; do
            count=$((count * extent))
        done
        at=$((at + 10 + length))
        if [[ $header != *"# octpipe trailer"* ]]; then
            bytes "$1" "$at" "$count"
        fi
        at=$((at + count))
    done
}

# The payloads of two streams are the same, bit for bit.
assert_same() {
    payload "$1" > first.payload
    payload "$2" > second.payload
    [ -s first.payload ]
    cmp first.payload second.payload
}

assert_different() {
    payload "$1" > first.payload
    payload "$2" > second.payload
    [ "$(stat -c %s first.payload)" -eq "$(stat -c %s second.payload)" ]
    run ! cmp -s first.payload second.payload
}

# bare TYPE SHAPE: the header of an array without metadata, as NumPy writes it.
bare() {
    local text="{'descr': '$1', 'fortran_order': False, 'shape': ($2), }" length
    length=$(((${#text} + 11 + 63) / 64 * 64 - 10))
    printf '\x93NUMPY\x01\x00'
    little_endian "$length" 2
    printf "%-$((length - 1))s\n" "$text"
}

# little_endian NUMBER BYTES
little_endian() {
    local i
    for ((i = 0; i < $2; i++)); do
        # shellcheck disable=SC2059 # the format is the byte
        printf "\\x$(printf %02x $(($1 >> 8 * i & 255)))"
    done
}

# The JSON header of a safetensors file.
weights_header() {
    bytes "$1" 8 $(($(od -An -tu8 -N 8 "$1")))
}

# edit_weights FROM TO SCRIPT: a copy whose JSON header went through sed.
edit_weights() {
    local header
    header=$(weights_header "$1" | sed "$3")
    [ "$header" != "$(weights_header "$1")" ]
    {
        little_endian ${#header} 8
        printf %s "$header"
        tail -c +$((9 + $(od -An -tu8 -N 8 "$1"))) "$1"
    } > "$2"
}

# clear_tensor FILE NAME: fill a tensor with zeros.
clear_tensor() {
    local pattern="\"$2\":\{[^}]*\"data_offsets\":\[([0-9]+),([0-9]+)\]"
    [[ $(weights_header "$1") =~ $pattern ]]
    dd if=/dev/zero of="$1" oflag=seek_bytes iflag=count_bytes conv=notrunc status=none \
        seek=$((8 + $(od -An -tu8 -N 8 "$1") + BASH_REMATCH[1])) \
        count=$((BASH_REMATCH[2] - BASH_REMATCH[1]))
}

# field NAME FILE: what tensor-info says of the first array, as JSON.
field() {
    tensor-info --json "$2" | sed -nE '1 s/.*"'"$1"'":(\[[^]]*\]|"[^"]*"|[^,}]*).*/\1/p'
}
