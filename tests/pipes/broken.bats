# Bad input to the network filters: one line on stderr that names the input and the reason, exit
# code 2, nothing left under the output's name, and a reader of the broken output that notices.
# tensors.bats and tiff.bats do the same for the filters that know no network.

bats_require_minimum_version 1.5.0
load small

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_weights
    make_inputs
}

setup() {
    link_files
    mkdir out
    # Where memory is out, the sanitizers shall let calloc say so.
    export ASAN_OPTIONS=allocator_may_return_null=1
}

# refuses NAME FILE WORDS [OPTION...]: from a file into -o, and in the middle of a pipe.
refuses() {
    local name=$1 file=$2 words=$3
    shift 3
    run --separate-stderr ${command[$name]} -q "$@" "$file" -o out/z.npy
    echo "$name < $file: status $status, '$stderr'"
    [ "$status" -eq 2 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == "$name: $file: $words"* ]]
    [ -z "$(ls -A out)" ]
    cat "$file" | ${command[$name]} -q "$@" 2> message \
        | tensor-info --json > info.txt 2> noticed \
        || status="${PIPESTATUS[*]:1}"
    echo "in a pipe: $status, '$(< message)'; then '$(< noticed)'"
    [ "$status" = "2 2" ]
    [ "$(wc -l < message)" -eq 1 ]
    [[ "$(< message)" == "$name: stdin: $words"* ]]
    [[ "$(< noticed)" == "tensor-info: stdin: "* ]]
}

# Where the payload of a file's first array starts, and where it ends.
payload_start() {
    echo $((10 + $(od -An -tu2 -j 8 -N 2 "$1")))
}
payload_end() {
    payload "$1" > whole.payload
    echo $(($(payload_start "$1") + $(stat -c %s whole.payload)))
}

# offset_of TEXT FILE: of the first one.
offset_of() {
    grep -aboF "$1" "$2" | head -n 1 | cut -d : -f 1
}

# flip FILE OFFSET: a copy, flipped.npy, with another lowest bit at the offset.
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    cat "$1" > flipped.npy
    little_endian $((byte ^ 1)) 1 \
        | dd of=flipped.npy bs=1 seek="$2" conv=notrunc status=none
}

@test "an empty input" {
    : > empty.npy
    for name in "${networks[@]}"; do
        refuses "$name" empty.npy "empty; it holds no array"
    done
}

@test "an input that is no array" {
    cp eye.npy text.npy && printf 'text, not an array' > text.npy
    for name in "${networks[@]}"; do
        refuses "$name" text.npy "not an NPY array (bad magic)"
        refuses "$name" nhae.safetensors "not an NPY array (bad magic)"
    done
}

@test "a cut header, payload or trailer" {
    for name in "${networks[@]}"; do
        start=$(payload_start "$name.npy") end=$(payload_end "$name.npy")
        size=$(stat -L -c %s "$name.npy")
        while read -r length words; do
            head -c "$length" "$name.npy" > cut.npy
            refuses "$name" cut.npy "$words"
        done << here
11 the input ends inside an array's header
$((start - 1)) the input ends inside an array's header
$((start)) the payload is cut: 0 of $((end - start)) bytes are there
$(((start + end) / 2)) the payload is cut
$((end - 1)) the payload is cut: $((end - start - 1)) of $((end - start)) bytes are there
$((end)) no trailer after the payload; it may be cut
$((end + 30)) after the payload: the input ends inside an array's header
$((size - 1)) the input ends inside a trailer
here
    done
}

@test "a flipped bit" {
    for name in "${networks[@]}"; do
        start=$(payload_start "$name.npy") end=$(payload_end "$name.npy")
        for offset in $((start)) $(((start + end) / 8 * 4)) $((end - 4)); do
            flip "$name.npy" $offset
            refuses "$name" flipped.npy "wrong checksum of the payload"
        done
        # In the magic, the history, the mark, and the trailer's number of bytes.
        flip "$name.npy" 1
        refuses "$name" flipped.npy "not an NPY array (bad magic)"
        flip "$name.npy" $(($(offset_of '"history":["' "$name.npy") + 12))
        refuses "$name" flipped.npy "wrong checksum of the header"
        flip "$name.npy" $(($(offset_of '# octpipe {' "$name.npy") + 2))
        refuses "$name" flipped.npy "a trailer without its array; the header before it is damaged"
        flip "$name.npy" $(($(offset_of '"bytes":' "$name.npy") + 8))
        refuses "$name" flipped.npy "the trailer is of another array"
    done
}

# wait_for_bytes FILE COUNT: until a file is as long as that.
wait_for_bytes() {
    for _ in {1..600}; do
        if [ -e "$1" ] && [ "$(stat -c %s "$1")" -ge "$2" ]; then
            return
        fi
        sleep 0.1
    done
    return 1
}

@test "what a killed filter leaves in a pipe never reads as whole" {
    # While it waits for the second of two arrays.
    noise --shape 2,4,4,6 -n 2 > two.npy
    length=$(latent-sr -w nhae.safetensors two.npy | wc -c)
    mkfifo in
    latent-sr -w nhae.safetensors < in > killed.npy 3>&- &
    exec 4> in
    bytes two.npy 0 $(($(stat -c %s two.npy) / 2)) >&4
    wait_for_bytes killed.npy $((length / 2))
    kill -TERM $!
    wait $! || true
    exec 4>&-
    run -2 tensor-info killed.npy
    [[ "$output" == *"tensor-info: killed.npy: array 2: number 2 of 2 is missing" ]]
    run -2 ${command[decode-multislice]} -q killed.npy -o out/z.npy
    [ -z "$(ls -A out)" ]
    # While it makes the first slice.
    rm killed.npy # else its bytes might be waited for
    diffuse3d -w ldm3d.safetensors -n 1 --shape 16,4,32,32 --sampler ddpm > killed.npy 3>&- &
    wait_for_bytes killed.npy 1
    kill -KILL $!
    wait $! || true
    run -2 tensor-info killed.npy
    [[ "$output" == *"killed.npy: the payload is cut: 0 of 262144 bytes are there" ]]
}

@test "a second array that is broken, and the stages after it" {
    for name in "${networks[@]}"; do
        flip "$name.npy" $(($(payload_end "$name.npy") - 4))
        cat "$name.npy" flipped.npy > both.npy
        refuses "$name" both.npy "array 2: wrong checksum of the payload"
        [ "$(wc -l < info.txt)" -eq 1 ] # the first array was whole
    done
    noise --shape 2,4,4,6 > even.npy # a map that all stages take
    flip even.npy $(($(payload_end even.npy) - 4))
    run bash -c "cat even.npy flipped.npy | ${command[latent-sr]} 2> 1.txt \
        | refine-slice -q -w tiny-refiner.safetensors --steps 1 2> 2.txt \
        | decode-multislice -q -w tiny-multislice.safetensors --hop 5 2> 3.txt \
        | tensor-to-tiff -o out/%d.tif 2> 4.txt; echo \"\${PIPESTATUS[*]:1}\""
    cat ?.txt
    [ "$output" = "2 2 2 2" ]
    [ "$(cat ?.txt | wc -l)" -le 5 ] # tensor-to-tiff may note clamped voxels of the first array
    [ ! -e out/1.tif ]
}

@test "readers of a decoder that broke in the middle notice" {
    noise --shape 12,4,16,16 > latent.npy
    head -c $(($(payload_end latent.npy) - 4)) latent.npy > cut.npy
    decode=(decode-multislice -q -w tiny-multislice.safetensors)
    "${decode[@]}" latent.npy > whole.npy
    for reader in tensor-info "tensor-cat -o out/z" "tensor-cast --volume u1 -o out/z" \
        "tensor-slice --range 0 -o out/z" "downsample -o out/z" "pad --multiple 8 -o out/z" \
        "crop --to 1,1,1 -o out/z" "tensor-to-tiff -q -o out/z.tif" "tensor-view -o out/z.png" \
        "octmetrics tv" \
        "tensor-diff - whole.npy" "encode2d -w nhae.safetensors -o out/z" \
        "encode3d -w nhae.safetensors -o out/z"; do
        # A pipe, not the file, whose length would say at once that it is cut.
        code=$(cat cut.npy | "${decode[@]}" 2> message | $reader 2> noticed > text \
            || echo "${PIPESTATUS[*]:1}")
        echo "$reader: $code, '$(< noticed)'"
        [ "$code" = "2 2" ]
        [[ "$(< message)" == "decode-multislice: stdin: the payload is cut"* ]]
        [ "$(wc -l < noticed)" -eq 1 ]
        [ -z "$(ls -A out)" ]
    done
}

@test "a wrong kind, rank or type" {
    noise --shape 4,8,16,8 > latent.npy
    tensor-cast --to u1 latent.npy > bytes.npy
    tiff-to-tensor --labels "$BATS_TEST_DIRNAME/../../testdata/eye-32x64x64.tif" > labels.npy
    tensor-cast --to i2 eye.npy > shorts.npy
    for name in encode3d encode2d; do
        words="a volume u1 or f4 (D,H,W) is expected, not"
        refuses $name latent.npy "$words latent f4 (4, 8, 16, 8)"
        refuses $name labels.npy "$words labels u1 (32, 64, 64)"
        refuses $name shorts.npy "$words volume i2 (32, 64, 64)"
    done
    for name in latent-sr diffuse3d refine-slice decode-multislice; do
        words="a latent f4 (D,C,H,W) is expected, not"
        refuses $name eye.npy "$words volume u1 (32, 64, 64)"
        refuses $name labels.npy "$words labels u1 (32, 64, 64)"
        refuses $name bytes.npy "$words latent u1 (4, 8, 16, 8)"
    done
}

@test "a wrong number of channels" {
    noise --shape 8,3,8,8 > three.npy
    for name in latent-sr decode-multislice; do
        refuses $name three.npy "the latent has 3 channels, the weights are for 4"
    done
    refuses diffuse3d three.npy \
        "the U-Net takes 4 channels and makes 4; a latent of 3 channels needs 3 and 3"
    refuses refine-slice three.npy \
        "the U-Net takes 8 channels and makes 4; a latent of 3 channels needs 6 and 3"
}

@test "NaN or infinity" {
    for name in "${networks[@]}"; do
        if [[ $name == encode* ]]; then
            tensor-cast --volume f4 "$name.npy" > real.npy
        else
            cp -L "$name.npy" real.npy
        fi
        shape=$(field shape real.npy | tr -d '[]')
        payload real.npy > real.payload
        last=$((${shape%%,*} - 1))
        for value in '\x00\x00\xc0\x7f' '\x00\x00\x80\x7f' '\x00\x00\x80\xff'; do
            # Unmarked, so that no checksum tells; in the first and in the last slice.
            { bare '<f4' "$shape"; printf "$value"; tail -c +5 real.payload; } > nan.npy
            refuses "$name" nan.npy "slice 0 holds NaN or infinity"
            { bare '<f4' "$shape"; head -c -4 real.payload; printf "$value"; } > nan.npy
            refuses "$name" nan.npy "slice $last holds NaN or infinity"
        done
    done
    # Infinity in a whole, marked array.
    noise --shape 8,4,8,8 | tensor-cast --to f4 --scale 1e300 > infinite.npy
    refuses diffuse3d infinite.npy "slice 0 holds NaN or infinity"
}

@test "an absurd shape" {
    while read -r shape words; do
        { bare '<f4' "$shape"; head -c 100000 /dev/zero; } > input.npy
        if [[ $shape == *,*,*,* ]]; then
            names=(latent-sr diffuse3d refine-slice decode-multislice)
        else
            names=(encode3d encode2d)
        fi
        for name in "${names[@]}"; do
            run --separate-stderr bash -c "cat input.npy | ${command[$name]} -q -o out/z.npy"
            echo "$name ($shape): '$stderr'"
            [ "$status" -eq 2 ]
            [ "${#stderr_lines[@]}" -eq 1 ]
            [[ "$stderr" == "$name: stdin: $words"* ]]
            [ -z "$(ls -A out)" ]
        done
    done << 'end'
4611686018427387904,4,8,8 absurd shape: f4 (4611686018427387904, 4, 8, 8)
99999999999999999999,4,8,8 absurd shape
8,1099511627776,1099511627776,8 absurd shape
8,4,1048576,1048576 absurd shape: f4 (8, 4, 1048576, 1048576) has slices of 17592186044416 bytes
8,1048576,1048576 absurd shape: f4 (8, 1048576, 1048576) has slices of 4398046511104 bytes
8,4194304,1024 absurd shape
0,4,8,8 an array without elements
8,0,8 an array without elements
end
    # Networks that take the whole array, asked for more than there is memory.
    for extent in 1048576 1073741824 2199023255552; do
        { bare '<f4' "$extent, 64, 64"; head -c 100000 /dev/zero; } > volume.npy
        { bare '<f4' "$extent, 4, 64, 64"; head -c 100000 /dev/zero; } > latent.npy
        for name in encode3d latent-sr diffuse3d; do
            input=latent.npy
            if [ $name = encode3d ]; then
                input=volume.npy
            fi
            run --separate-stderr bash -c "cat $input | ${command[$name]} -q -o out/z.npy"
            stderr=$(grep -v AddressSanitizer <<< "$stderr") # it warns when memory is out
            echo "$name ($extent): '$stderr'"
            [ "$status" -eq 2 ]
            [ "$(wc -l <<< "$stderr")" -eq 1 ]
            [[ "$stderr" == "$name: stdin: "* ]]
            [ -z "$(ls -A out)" ]
        done
    done
}

# refuses_weights WORDS NAME WEIGHTS [OPTION...]: with other weights than its own.
refuses_weights() {
    local words=$1 name=$2 weights=$3
    shift 3
    run --separate-stderr ${command[$name]%% *} -q "$@" -w "$weights" "$name.npy" -o out/z.npy
    echo "$name -w $weights: status $status, '$stderr'"
    [ "$status" -eq 2 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == "$name: "*"$words"* ]]
    [ -z "$(ls -A out)" ]
}

@test "weights of another network" {
    while read -r name other words; do
        refuses_weights "$words" "$name" "$other.safetensors"
    done << 'end'
encode3d refiner holds no 3-D encoder (no tensor encoder3D.conv_first.conv.weight)
encode2d multislice holds no 2-D encoder (no tensor encoder.conv_in.weight)
latent-sr ldm3d holds no latent super-resolution
diffuse3d nhae holds no diffusion U-Net (no tensor time_embed.0.weight)
diffuse3d refiner the weights are those of a 2-D U-Net, this stage needs a 3-D one
refine-slice ldm3d the weights are those of a 3-D U-Net, this stage needs a 2-D one
decode-multislice refiner holds no 2-D decoder (no tensor decoder.conv_in.weight)
end
}

# The weight file of a network filter.
weights_of() {
    sed 's/.* -w \([^ ]*\).*/\1/' <<< "${command[$1]}"
}

@test "weights that are missing, cut short, or something else" {
    mkdir folder
    for name in "${networks[@]}"; do
        weights=$(weights_of "$name")
        refuses_weights "missing.safetensors: cannot open: No such file or directory" \
            "$name" missing.safetensors
        refuses_weights "folder: not a regular file" "$name" folder
        refuses_weights "not a safetensors file" "$name" "$name.npy"
        : > short.safetensors
        refuses_weights "not a safetensors file: only 0 bytes" "$name" short.safetensors
        head -c 1000 "$weights" > short.safetensors
        refuses_weights "cut short: the header of " "$name" short.safetensors
        head -c -1 "$weights" > short.safetensors
        refuses_weights "cut short: file is " "$name" short.safetensors
        { cat "$weights"; echo; } > long.safetensors
        refuses_weights "bytes after the data" "$name" long.safetensors
    done
}

@test "weights with a tensor that is missing, misshapen or of another type" {
    while read -r name tensor shape other; do
        weights=$(weights_of "$name")
        needs="${shape//,/, }"
        edit_weights "$weights" wrong.safetensors "s/\"$tensor\":{/\"other\":{/"
        refuses_weights "no tensor $tensor ($needs)" "$name" wrong.safetensors
        edit_weights "$weights" wrong.safetensors \
            "s/\(\"$tensor\":{[^}]*\)\"shape\":\[$shape\]/\1\"shape\":[$other]/"
        refuses_weights "$tensor is (${other//,/, }), the network needs ($needs)" \
            "$name" wrong.safetensors
        edit_weights "$weights" wrong.safetensors \
            "s/\"$tensor\":{\"dtype\":\"F32\"/\"$tensor\":{\"dtype\":\"I32\"/"
        refuses_weights "$tensor is neither F32, F16 nor BF16" "$name" wrong.safetensors
    done << 'end'
encode3d encoder3D.conv_blocks.1.res.conv1.conv.weight 64,64,3,3,3 64,3,3,3,64
encode2d encoder.mid.attn_1.q.weight 64,64,1,1 64,64
latent-sr SR3D.conv_blocks.2.up.convt.bias 4 2,2
diffuse3d model.middle_block.0.emb_layers.1.weight 128,128 128,64,2
refine-slice model.input_blocks.1.0.out_layers.3.weight 32,32,3,3 3,3,32,32
decode-multislice decoder.up.0.block.1.norm3d.weight 32 16,2
end
}

@test "metadata that do not fit" {
    edit_weights ldm3d.safetensors 7.safetensors 's/"heads":"8"/"heads":"7"/'
    refuses_weights "channels do not divide into 7 heads" diffuse3d 7.safetensors
    edit_weights ldm3d.safetensors 7.safetensors 's/"groups":"8"/"groups":"7"/'
    refuses_weights "channels do not divide into 7 groups" diffuse3d 7.safetensors
    for value in 0 -8 x 4294967304 ''; do
        edit_weights multislice.safetensors x.safetensors "s/\"groups\":\"8\"/\"groups\":\"$value\"/"
        refuses_weights "x.safetensors: metadata groups = \"$value\" does not read" \
            decode-multislice x.safetensors
    done
    while read -r key value words; do
        edit_weights refiner.safetensors x.safetensors "s/\"__metadata__\":{/&\"$key\":\"$value\",/"
        refuses_weights "$words" refine-slice x.safetensors
    done << 'end'
timesteps 0 metadata timesteps = "0" does not read
timesteps 1000000000 1000000000 timesteps: 1 to 1000000 are possible
schedule steep schedule "steep": linear, cosine and straight are known
parameterization x0 parameterization "x0": eps, v and flow are known
clip -1 clip -1 is not positive
clip wide metadata clip = "wide" does not read
latent_scale 0 latent_scale 0 is not between 1e-06 and 1e+06
latent_scale 1e-40 latent_scale 1e-40 is not between 1e-06 and 1e+06
end
}

@test "steps and starts that a sampler does not have" {
    while read -r words; do
        read -r options
        refuses refine-slice refine-slice.npy "$words" $options
    done << 'end'
ancestral sampling takes all 1000 steps, not 7
--sampler ddpm --steps 7
start at timestep 1000: 1 to 999 are possible
--start 1000
end
    for steps in 7 1000; do
        run -2 refine-slice -w refiner.safetensors --steps $steps refine-slice.npy -o out/z.npy
        [[ "$output" == "refine-slice: refine-slice.npy: "*1000* ]]
        [ -z "$(ls -A out)" ]
    done
    run -2 diffuse3d -w ldm3d.safetensors -n 1 --shape 8,8,8 -o out/z.npy
    [[ "$output" == "diffuse3d: --shape needs four extents D,C,H,W" ]]
    run -2 diffuse3d -w ldm3d.safetensors -n 1 --shape 8,4,8,9 -o out/z.npy
    [[ "$output" == "diffuse3d: W' = 9 is not a multiple of 2; 8 or 10 fit (pad, crop)" ]]
    [ -z "$(ls -A out)" ]
}

@test "an output that cannot be written" {
    for name in "${networks[@]}"; do
        echo "$name"
        for path in missing/z.npy /proc/z.npy out; do
            run --separate-stderr ${command[$name]} "$name.npy" -o $path
            echo "$stderr"
            [ "$status" -eq 2 ]
            [[ "$stderr" == "$name: writing $path: "* ]]
        done
        if [ -c /dev/full ]; then
            run --separate-stderr bash -c "${command[$name]} $name.npy > /dev/full"
            [ "$status" -eq 2 ]
            [ "$stderr" = "$name: writing stdout: No space left on device" ]
        fi
        [ -z "$(ls -A out)" ]
    done
}

@test "a reader that goes away ends the whole pipe by SIGPIPE, without a word" {
    run --separate-stderr bash -c 'noise --shape 100000,4,16,16 \
        | refine-slice -q -w tiny-refiner.safetensors --steps 1 \
        | decode-multislice -q -w tiny-multislice.safetensors --hop 5 \
        | head -c 1000 > start; echo "${PIPESTATUS[*]}"'
    [ "$output" = "141 141 141 0" ]
    [ -z "$stderr" ]
    [ "$(stat -c %s start)" -eq 1000 ]
}

@test "init-weights refuses what makes no network, and leaves no file" {
    while read -r words; do
        read -r options
        run --separate-stderr init-weights $options
        echo "$options: '$stderr'"
        [ "$status" -eq 2 ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [[ "$stderr" == "init-weights: "*"$words"* ]]
        [ -z "$(ls -A out)" ]
    done << 'end'
give a file with -o
refiner
an operand is missing: autoencoder2d|nhae|ldm3d|refiner|multislice
-o out/w
unexpected operand ldm3d
refiner ldm3d -o out/w
unet is no part
unet -o out/w
30 channels do not divide into 8 groups
refiner --width 30 --groups 8 -o out/w
channels do not divide into 5 heads
refiner --width 32 --groups 8 --heads 5 -o out/w
3 levels of the 2-D auto-encoder do not match
nhae --width 16 --width2d 16 --groups 8 --mult 1,2,2 -o out/w
more than 8 axes
ldm3d --mult 1,1,1,1,1,1,1,1,1 -o out/w
No such file or directory
refiner --width 8 --groups 4 --heads 2 -o out/missing/w
end
}
