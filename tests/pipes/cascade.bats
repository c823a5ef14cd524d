# The networks of the cascade as filters: shapes and histories from end to end, and what must not
# change a result. Weights are small and fresh; what the networks compute is for the unit tests.

bats_require_minimum_version 1.5.0
load small

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_weights
    make_inputs
}

setup() {
    link_files
}

# assert_shape FILE SHAPE KIND AXES
assert_shape() {
    echo "$1: $(field shape "$1") $(field kind "$1") $(field axes "$1")"
    [ "$(field type "$1")" = '"f4"' ]
    [ "$(field shape "$1")" = "[$2]" ]
    [ "$(field kind "$1")" = "\"$3\"" ]
    [ "$(field axes "$1")" = "\"$4\"" ]
    [ "$(field nan "$1") $(field infinite "$1")" = "0 0" ]
}

# In millimetres; stages multiply and divide it, so the last digits may differ.
spacing() {
    field spacing "$1" | awk -F '[][,]' '{ printf "%.9g %.9g %.9g\n", $2, $3, $4 }'
}

@test "the whole cascade, from a TIFF to a TIFF" {
    set -o pipefail
    tiff-to-tensor "$BATS_TEST_DIRNAME/../../testdata/eye-32x64x64.tif" \
        | downsample -f 2 | tee thumbnail.npy \
        | encode3d -w nhae.safetensors | tee z.npy \
        | latent-sr -w nhae.safetensors | tee z_sr.npy \
        | refine-slice -w refiner.safetensors --steps 2 --threads 2 | tee z_hr.npy \
        | decode-multislice -w multislice.safetensors -q | tee decoded.npy \
        | tensor-to-tiff -o decoded.tif
    [ "$(field shape thumbnail.npy)" = "[16,32,32]" ]
    assert_shape z.npy 4,4,8,8 latent DCHW
    assert_shape z_sr.npy 32,4,8,8 latent DCHW
    assert_shape z_hr.npy 32,4,8,8 latent DCHW
    assert_shape decoded.npy 32,64,64 volume DHW
    [ "$(spacing decoded.npy)" = "$(spacing eye.npy)" ]
    tiff-to-tensor decoded.tif > again.npy
    [ "$(field shape again.npy)" = "[32,64,64]" ]

    # The history names all stages in order, without the options that change no result.
    run -0 field history decoded.npy
    [[ "$output" == '["tiff-to-tensor '*'","downsample -f 2","encode3d -w nhae.safetensors",'* ]]
    [[ "$output" == *',"latent-sr -w nhae.safetensors",'* ]]
    [[ "$output" == *',"refine-slice -w refiner.safetensors --steps 2",'* ]]
    [[ "$output" == *',"decode-multislice -w multislice.safetensors"]' ]]
    [[ "$(field history again.npy)" == *'"decode-multislice -w multislice.safetensors","tensor-to-tiff'* ]]
}

@test "the auxiliary path: encode2d and back" {
    encode2d -w nhae.safetensors eye.npy > z_hr.npy
    assert_shape z_hr.npy 32,4,8,8 latent DCHW
    decode-multislice -w nhae.safetensors z_hr.npy > decoded.npy # the plain decoder in these weights
    assert_shape decoded.npy 32,64,64 volume DHW
    [ "$(spacing decoded.npy)" = "$(spacing eye.npy)" ]
    # Slice by slice: a part of the stack decodes to the same part of the volume.
    tensor-slice --range 9:12 z_hr.npy | decode-multislice -w nhae.safetensors > part.npy
    tensor-slice --range 9:12 decoded.npy > expected.npy
    assert_same part.npy expected.npy
}

@test "the number of threads changes no payload" {
    for name in "${networks[@]}"; do
        echo "$name"
        ${command[$name]} "$name.npy" --threads 1 > one.npy
        for threads in 2 3 8; do
            ${command[$name]} "$name.npy" --threads $threads > more.npy
            assert_same one.npy more.npy
        done
    done
}

@test "the batch of refine-slice changes no payload" {
    ${command[refine-slice]} --sampler ddim --eta 1 --batch 1 refine-slice.npy > one.npy
    for batch in 3 4 8 9 100; do
        ${command[refine-slice]} --sampler ddim --eta 1 --batch $batch refine-slice.npy > more.npy
        assert_same one.npy more.npy
    done
}

@test "--preset: sampler and steps, unless they are given" {
    local refine=(refine-slice -w refiner.safetensors refine-slice.npy)
    "${refine[@]}" --preset fast > fast.npy
    "${refine[@]}" --sampler ddim --steps 20 > same.npy
    assert_same fast.npy same.npy
    "${refine[@]}" --preset fast --steps 4 > fast.npy
    "${refine[@]}" --sampler ddim --steps 4 > same.npy
    assert_same fast.npy same.npy
    "${refine[@]}" --preset fast --sampler dpm++ > fast.npy
    "${refine[@]}" --sampler dpm++ --steps 20 > same.npy
    assert_same fast.npy same.npy
    "${refine[@]}" --preset fast --sampler ddim > fast.npy
    "${refine[@]}" --preset paper > same.npy
    assert_same fast.npy same.npy
    "${refine[@]}" > plain.npy
    assert_same plain.npy same.npy
    local decode=(decode-multislice -w multislice.safetensors decode-multislice.npy)
    "${decode[@]}" --preset fast > fast.npy
    "${decode[@]}" --hop 3 > same.npy
    assert_same fast.npy same.npy
    "${decode[@]}" --preset fast --window 2 > fast.npy
    "${decode[@]}" --hop 2 --window 2 > same.npy
    assert_same fast.npy same.npy
}

@test "--common-noise: slices of equal z_sr are refined alike with 1, apart below" {
    local refine=(${command[refine-slice]} --sampler ddim --eta 1)
    tensor-slice --range 0:1 refine-slice.npy > first.npy
    tensor-cat first.npy first.npy first.npy > equal.npy
    "${refine[@]}" --common-noise 1 equal.npy > alike.npy
    tensor-cat <(tensor-slice --range 0:1 alike.npy){,,} > first-thrice.npy
    assert_same first-thrice.npy alike.npy
    "${refine[@]}" --common-noise 0.5 --batch 1 equal.npy > apart.npy
    "${refine[@]}" --common-noise 0.5 --batch 3 equal.npy > more.npy
    assert_same apart.npy more.npy
    tensor-slice --range 1:2 apart.npy > second.npy
    run ! same <(tensor-slice --range 0:1 apart.npy) second.npy
    "${refine[@]}" equal.npy > own.npy
    "${refine[@]}" --common-noise 0 equal.npy > none.npy
    assert_same own.npy none.npy
    run ! same own.npy apart.npy
}

# plan NAME [OPTION...]: the plan in tenths of a MiB that -v announces.
plan() {
    local name=$1
    shift
    ${command[$name]} "$name.npy" "$@" -v 2>&1 > planned.npy \
        | sed -nE 's/.* plan: ([0-9]+)\.([0-9]) MiB = .*/\1\2/p' | sed 's/^0//'
}

# smallest NAME [OPTION...]: the MiB that a refusal names.
smallest() {
    local name=$1
    shift
    run --separate-stderr ${command[$name]} "$name.npy" --threads 2 --memory 300k -o none.npy "$@"
    [ "$status" -eq 2 ]
    [ ! -e none.npy ]
    [[ "$stderr" =~ ^"$name: $name.npy: the smallest plan needs "([0-9]+\.[0-9])" MiB, --memory allows 0.293 MiB"$ ]]
    needed=${BASH_REMATCH[1]}
}

@test "--memory: the same payload with the smallest plan, a refusal that names it below" {
    for name in "${networks[@]}"; do
        smallest "$name"
        echo "$name needs $needed MiB"
        ${command[$name]} "$name.npy" --threads 2 > free.npy
        ${command[$name]} "$name.npy" --threads 2 --memory "${needed}M" -v > tight.npy 2> said.txt
        assert_same tight.npy free.npy
        grep -qF "$name: plan: $needed MiB = " said.txt
        below=$(awk -v needed="$needed" 'BEGIN { print needed - 0.2 }')
        run --separate-stderr ${command[$name]} "$name.npy" --threads 2 --memory "${below}M" \
            -o none.npy
        [ "$status" -eq 2 ]
        [ "$stderr" = "$name: $name.npy: the smallest plan needs $needed MiB, --memory allows $below MiB" ]
        [ ! -e none.npy ]
    done
}

@test "noise from files is part of refine-slice's plan" {
    smallest refine-slice
    without=${needed/./}
    smallest refine-slice --step-noise noise.npy # of 1000 timesteps and 9 slices: 3.3 MiB
    [ $((${needed/./} - without)) -ge 32 ]
    [ $((${needed/./} - without)) -le 34 ]
    rm refine-slice.npy # a link
    noise --shape 2,4,128,128 > refine-slice.npy
    smallest refine-slice
    without=${needed/./}
    smallest refine-slice --noise noise.npy # a slice at a time: 0.25 MiB
    [ $((${needed/./} - without)) -ge 2 ]
    [ $((${needed/./} - without)) -le 3 ]
}

@test "refine-slice takes the largest batch that fits --memory" {
    for batch in 1 2 3 4; do
        tenths=$(plan refine-slice --threads 2 --batch $batch)
        run --separate-stderr refine-slice -w refiner.safetensors --steps 1 --threads 2 -v \
            --batch 4 --memory "${tenths%?}.${tenths: -1}M" refine-slice.npy -o z.npy
        [ "$status" -eq 0 ]
        echo "$stderr"
        fitting=$(sed -n 's/.*: \([0-9]*\) slices at a time/\1/p' <<< "$stderr")
        [ "$fitting" -ge $batch ]
        [ "$(plan refine-slice --threads 2 --batch "$fitting")" -le "$tenths" ]
    done
    [ "$fitting" -eq 4 ]
}

@test "the plan is what a process takes" {
    if [ -n "${SANITIZE:-}" ]; then
        skip "the sanitizers take memory of their own"
    fi
    for name in "${networks[@]}"; do
        run --separate-stderr ${command[$name]} "$name.npy" -v -o z.npy
        plan=$(sed -nE 's/.* plan: ([0-9]+)\..*/\1/p' <<< "$stderr")
        peak=$(sed -nE 's/.* peak memory of the process: ([0-9]+)\..*/\1/p' <<< "$stderr")
        echo "$name: plan $plan MiB, peak $peak MiB"
        [ "$peak" -ge "$plan" ]
        [ "$peak" -le $((plan + plan / 10 + 40)) ]
    done
}

@test "memory does not grow with the number of slices" {
    if [ -n "${SANITIZE:-}" ]; then
        skip "the sanitizers keep freed memory"
    fi
    declare -A slicewise=(
        [refine-slice]="refine-slice -q -w tiny-refiner.safetensors --steps 1"
        [decode-multislice]="decode-multislice -q -w tiny-multislice.safetensors --hop 5"
    )
    for name in "${!slicewise[@]}"; do
        for slices in 16 256; do
            noise --shape $slices,4,16,16 | ${slicewise[$name]} -v 2> $slices.txt \
                | tensor-info > info.txt
        done
        few=$(sed -n 's/.*process: \([0-9]*\).*/\1/p' 16.txt)
        many=$(sed -n 's/.*process: \([0-9]*\).*/\1/p' 256.txt)
        echo "$name: $few MiB for 16 slices, $many MiB for 256"
        [ "$many" -le $((few + 1)) ]
    done
}

@test "a slice leaves before the input has ended" {
    noise --shape 9,4,64,64 > many.npy
    mkfifo in out
    refine-slice -q -w tiny-refiner.safetensors --steps 1 --batch 2 < in > out 3>&- &
    refiner=$!
    exec 4> in 5< out
    bytes many.npy 0 $(($(stat -c %s many.npy) - 3 * 4 * 64 * 64 * 4)) >&4
    timeout 60 head -c $((4 * 4 * 64 * 64 * 4)) <&5 > first.bin
    [ "$(stat -c %s first.bin)" -eq $((4 * 4 * 64 * 64 * 4)) ]
    exec 4>&-
    cat <&5 > /dev/null
    code=0
    wait $refiner || code=$?
    [ "$code" -eq 2 ] # the rest never came
}

@test "a file, a pipe, -, -o and stdout are alike" {
    for name in "${networks[@]}"; do
        echo "$name"
        ${command[$name]} "$name.npy" > file.npy
        cat "$name.npy" | ${command[$name]} | cat > pipe.npy
        ${command[$name]} - -o dash.npy < "$name.npy"
        ${command[$name]} -o - < "$name.npy" > stdin.npy
        for way in pipe dash stdin; do
            assert_same file.npy $way.npy
        done
        cmp pipe.npy stdin.npy # the history too
    done
}

@test "one run over several arrays is several runs" {
    crop --to 4,16,8 --from 3,20,7 eye.npy > encode3d-b.npy
    crop --to 3,8,16 --from 9,20,7 eye.npy > encode2d-b.npy
    noise --shape 1,4,4,2 --seed 3 > latent-sr-b.npy
    noise --shape 2,4,4,2 --seed 4 --first 1 > diffuse3d-b.npy
    noise --shape 2,4,2,6 --seed 5 --first 1 > refine-slice-b.npy
    noise --shape 5,4,2,2 --seed 6 > decode-multislice-b.npy
    for name in "${networks[@]}"; do
        echo "$name"
        ${command[$name]} "$name.npy" > a.npy
        ${command[$name]} "$name-b.npy" > b.npy
        ${command[$name]} "$name.npy" "$name-b.npy" "$name.npy" > files.npy
        cat "$name.npy" "$name-b.npy" "$name.npy" | ${command[$name]} > stream.npy
        cat a.npy b.npy a.npy > expected.npy
        assert_same expected.npy files.npy
        assert_same expected.npy stream.npy
    done
}

@test "the noise of an array is keyed by its index, or by its place among bare arrays" {
    noise --shape 3,4,4,6 --seed 5 -n 2 > both.npy
    tensor-split -n 3 both.npy -o part-%d.npy
    ${command[refine-slice]} both.npy > z.npy
    { bare '<f4' 3,4,4,6; payload part-0.npy; bare '<f4' 3,4,4,6; payload part-1.npy; } > bare.npy
    ${command[refine-slice]} bare.npy > z-bare.npy
    assert_same z.npy z-bare.npy
    # The same latent at both places gets different noise.
    { bare '<f4' 3,4,4,6; payload part-0.npy; bare '<f4' 3,4,4,6; payload part-0.npy; } > twice.npy
    ${command[refine-slice]} twice.npy | tensor-split -n 3 -o z-%d.npy
    assert_different z-0.npy z-1.npy
}

@test "volumes of u1 and f4, latents of any real type: the same values, the same result" {
    for name in encode3d encode2d; do
        ${command[$name]} "$name.npy" > u1.npy
        tensor-cast --volume f4 "$name.npy" | ${command[$name]} > f4.npy
        assert_same u1.npy f4.npy
    done
    for name in latent-sr diffuse3d refine-slice decode-multislice; do
        tensor-cast --to f2 "$name.npy" > f2.npy
        tensor-cast --to f8 f2.npy > f8.npy
        ${command[$name]} f2.npy > from-f2.npy
        ${command[$name]} f8.npy > from-f8.npy
        assert_same from-f2.npy from-f8.npy
    done
}

@test "diffuse3d -n makes its own noise, as noise does" {
    diffuse3d="${command[diffuse3d]} --shape 4,4,6,10"
    $diffuse3d -n 1 --seed 7 > own.npy
    noise --shape 4,4,6,10 --seed 7 | ${command[diffuse3d]} --seed 7 > piped.npy
    assert_same own.npy piped.npy
    $diffuse3d -n 1 --seed 8 > other.npy
    assert_different own.npy other.npy
    $diffuse3d -n 3 --seed 7 > three.npy
    [ "$(tensor-info --json three.npy | wc -l)" -eq 3 ]
    noise --shape 4,4,6,10 --seed 7 -n 3 | ${command[diffuse3d]} > three-piped.npy
    assert_same three.npy three-piped.npy
    tensor-split -n 4 three.npy -o part-%d.npy
    assert_same own.npy part-0.npy
    assert_different part-0.npy part-1.npy
    assert_different part-1.npy part-2.npy
    noise --shape 4,4,6,10 --seed 7 --first 2 | ${command[diffuse3d]} > last.npy
    assert_same part-2.npy last.npy
    # Noise added at the steps is keyed by the index too.
    $diffuse3d -n 2 --seed 7 --eta 1 | tensor-split -n 4 -o eta-%d.npy
    noise --shape 4,4,6,10 --seed 7 --first 1 | ${command[diffuse3d]} --seed 7 --eta 1 > last.npy
    assert_same eta-1.npy last.npy
}

@test "samplers repeat themselves and differ from one another" {
    refine=(refine-slice -q -w refiner.safetensors refine-slice.npy)
    "${refine[@]}" --steps 4 > 1.npy
    "${refine[@]}" --steps 4 --eta 0.5 > 2.npy
    "${refine[@]}" --steps 4 --eta 1 > 3.npy
    "${refine[@]}" --steps 4 --eta 1 --seed 1 > 4.npy
    "${refine[@]}" --sampler dpm++ --steps 4 > 5.npy
    "${refine[@]}" --sampler ddpm --start 20 > 6.npy
    "${refine[@]}" --steps 4 --clip 0.5 > 7.npy
    "${refine[@]}" --steps 5 > 8.npy
    for a in {1..8}; do
        [ "$(field nan $a.npy) $(field infinite $a.npy)" = "0 0" ]
        for ((b = 1; b < a; b++)); do
            assert_different $a.npy $b.npy
        done
    done
    "${refine[@]}" --steps 4 --eta 1 --threads 1 --batch 3 > again.npy
    assert_same 3.npy again.npy
    "${refine[@]}" --sampler ddpm --start 20 --threads 1 --batch 2 > again.npy
    assert_same 6.npy again.npy
}

# extreme FILE: the largest magnitude, in thousandths, rounded.
extreme() {
    echo "$(field min "$1") $(field max "$1")" \
        | awk '{ printf "%.0f", 1000 * (-$1 > $2 ? -$1 : $2) }'
}

@test "ddpm and dpm++ end with a clipped latent" {
    for sampler in "ddpm --start 20" "dpm++ --steps 3"; do
        refine="refine-slice -q -w refiner.safetensors refine-slice.npy --sampler $sampler"
        $refine --clip 0.25 > z.npy
        [ "$(extreme z.npy)" -eq 250 ]
        $refine > z.npy # the weights say nothing: 1
        [ "$(extreme z.npy)" -eq 1000 ]
        $refine --clip none > z.npy
        [ "$(extreme z.npy)" -gt 1000 ]
    done
    edit_weights refiner.safetensors clipped.safetensors 's/"__metadata__":{/&"clip":"0.5",/'
    refine-slice -q -w clipped.safetensors refine-slice.npy --sampler dpm++ --steps 3 > z.npy
    [ "$(extreme z.npy)" -eq 500 ]
}

@test "--start begins from the input and takes only the steps below" {
    tensor-cast --to f4 --scale 0.2 refine-slice.npy > z.npy
    refine=(refine-slice -q -w refiner.safetensors z.npy --clip none)
    "${refine[@]}" --steps 100 --start 1 > near.npy
    "${refine[@]}" --steps 100 --start 901 > far.npy
    tensor-diff --l2 0.3 near.npy z.npy
    run -1 tensor-diff --l2 1 far.npy z.npy
    # Of the steps 1, 101, 201, ... those up to 150 are the same as those up to 101.
    "${refine[@]}" --steps 10 --start 101 > 101.npy
    "${refine[@]}" --steps 10 --start 150 > 150.npy
    "${refine[@]}" --steps 10 --start 201 > 201.npy
    assert_same 101.npy 150.npy
    assert_different 101.npy 201.npy
    # A latent of diffuse3d, too; from an input only.
    diffuse3d -w ldm3d.safetensors --steps 10 --start 101 --clip none diffuse3d.npy > again.npy
    assert_different again.npy diffuse3d.npy
    run -2 diffuse3d -w ldm3d.safetensors -n 1 --start 101
    [[ "$output" == *"--start begins from an input; -n reads none"* ]]
}

@test "the weights' metadata name the timesteps" {
    edit_weights refiner.safetensors short.safetensors 's/"__metadata__":{/&"timesteps":"20",/'
    refine-slice -w short.safetensors --sampler ddpm refine-slice.npy > all.npy
    refine-slice -w short.safetensors --sampler ddpm --steps 20 refine-slice.npy > twenty.npy
    assert_same all.npy twenty.npy
    run -2 refine-slice -w short.safetensors --sampler ddpm --steps 10 refine-slice.npy
    [[ "$output" == *"takes all 20 steps, not 10"* ]]
    run -2 refine-slice -w short.safetensors --steps 3 refine-slice.npy
    [[ "$output" == *20* ]]
}

# Weights whose network predicts 0, of a flow over two timesteps: then one step of dpm++ without a
# clip gives back the noise, bit for bit, and ddpm from no noise gives a multiple of the noise of
# timestep 1.
make_idle_weights() {
    edit_weights refiner.safetensors idle.safetensors \
        's/"__metadata__":{/&"timesteps":"2","parameterization":"flow","clip":"none",/'
    clear_tensor idle.safetensors model.out.2.weight
    clear_tensor idle.safetensors model.out.2.bias
}

@test "refine-slice --noise takes the initial noise from a file" {
    make_idle_weights
    idle=(refine-slice -w idle.safetensors --sampler dpm++ --steps 1)
    noise --shape 9,4,4,6 --seed 9 > noise.npy
    "${idle[@]}" --noise noise.npy refine-slice.npy > back.npy
    assert_same noise.npy back.npy
    # The seed's own noise, said aloud, gives what the seed gives.
    "${idle[@]}" --seed 7 refine-slice.npy > own.npy
    ${command[refine-slice]} --seed 7 refine-slice.npy > expected.npy
    for batch in 1 4 9; do
        ${command[refine-slice]} --noise own.npy --batch $batch refine-slice.npy > z.npy
        assert_same expected.npy z.npy
    done
    # Several arrays, each with its own.
    cat refine-slice.npy refine-slice.npy > two.npy
    cat own.npy noise.npy > both.npy
    "${idle[@]}" --noise both.npy two.npy > back.npy
    assert_same both.npy back.npy
    run -2 "${idle[@]}" --noise own.npy two.npy -o none.npy
    [[ "$output" == *"own.npy: fewer arrays of noise than of input"* ]]
    run -2 "${idle[@]}" --noise encode2d.npy refine-slice.npy -o none.npy
    [[ "$output" == *"encode2d.npy: noise u1 (5, 16, 24), the input needs f4 (9, 4, 4, 6)"* ]]
    [ ! -e none.npy ]
}

@test "refine-slice --step-noise takes the noise of the steps from a file" {
    make_idle_weights
    tensor-cast --to f4 --scale 0 refine-slice.npy > zero.npy
    idle=(refine-slice -w idle.safetensors --sampler ddpm --noise zero.npy)
    # How much noise the step at timestep 1 adds, from noise that is 1 everywhere.
    tensor-cast --to f4 --scale 0 --offset 1 refine-slice.npy > one.npy
    tensor-cat --stack zero.npy one.npy > ones.npy
    "${idle[@]}" --step-noise ones.npy refine-slice.npy > gain.npy
    gain=$(field max gain.npy)
    [ "$(field min gain.npy)" = "$gain" ]
    echo "gain $gain"
    # The step at timestep 0 adds none: its noise does not matter.
    noise --shape 9,4,4,6 --seed 9 > noise.npy
    tensor-cat --stack one.npy noise.npy > steps.npy
    "${idle[@]}" --step-noise steps.npy refine-slice.npy > z.npy
    tensor-cast --to f4 --scale "$gain" noise.npy | tensor-diff --l2 1e-6 z.npy -
    for batch in 1 3; do
        "${idle[@]}" --step-noise steps.npy --batch $batch refine-slice.npy > again.npy
        assert_same z.npy again.npy
    done
    # The seed's own noise of the step, said aloud.
    "${idle[@]}" --seed 7 refine-slice.npy > expected.npy
    tensor-cast --to f4 --scale "$(awk -v gain="$gain" 'BEGIN { printf "%.17g", 1 / gain }')" \
        expected.npy > own.npy
    tensor-cat --stack zero.npy own.npy > steps.npy
    "${idle[@]}" --step-noise steps.npy refine-slice.npy | tensor-diff --l2 1e-6 expected.npy -
    run -1 tensor-diff --l2 0.1 expected.npy z.npy
}

@test "sizes that do not fit are refused, and the message names those that do" {
    while read -r name shape reason; do
        echo "$name $shape"
        { bare '<f4' "$shape"; head -c 1000000 /dev/zero; } > input.npy
        run --separate-stderr bash -c "cat input.npy | ${command[$name]} -o none.npy"
        echo "$stderr"
        [ "$status" -eq 2 ]
        [ "$stderr" = "$name: stdin: $reason" ]
        [ ! -e none.npy ]
    done << 'end'
encode3d 61,64,64 D = 61 is not a multiple of 4; 60 or 64 fit (pad, crop)
encode3d 64,62,64 H = 62 is not a multiple of 4; 60 or 64 fit (pad, crop)
encode3d 64,64,3 W = 3 does not fit; 4 is the smallest that does
encode2d 61,62,64 H = 62 is not a multiple of 8; 56 or 64 fit (pad, crop)
encode2d 61,64,100 W = 100 is not a multiple of 8; 96 or 104 fit (pad, crop)
diffuse3d 7,4,8,8 D' = 7 is not a multiple of 2; 6 or 8 fit (pad, crop)
diffuse3d 8,4,9,8 H' = 9 is not a multiple of 2; 8 or 10 fit (pad, crop)
diffuse3d 8,4,8,1 W' = 1 does not fit; 2 is the smallest that does
refine-slice 7,4,7,8 H' = 7 is not a multiple of 2; 6 or 8 fit (pad, crop)
refine-slice 7,4,8,11 W' = 11 is not a multiple of 2; 10 or 12 fit (pad, crop)
decode-multislice 4,4,8,8 4 slices are fewer than the window of 5
end
}

@test "pad makes any size fit, and crop gives back the original one" {
    crop --to 29,58,61 eye.npy > odd.npy
    pad --multiple 8 odd.npy | downsample -f 2 | encode3d -w nhae.safetensors \
        | latent-sr -w nhae.safetensors \
        | decode-multislice -q -w tiny-multislice.safetensors --hop 5 > padded.npy
    [ "$(field shape padded.npy)" = "[32,64,64]" ]
    crop padded.npy > decoded.npy
    [ "$(field shape decoded.npy)" = "[29,58,61]" ]
    [ "$(spacing decoded.npy)" = "$(spacing odd.npy)" ]
    tensor-to-tiff padded.npy -o decoded.tif
    tiff-to-tensor decoded.tif > again.npy
    [ "$(field shape again.npy)" = "[29,58,61]" ]
    pad --multiple 1,8,8 odd.npy | encode2d -w nhae.safetensors \
        | decode-multislice -q -w tiny-multislice.safetensors --hop 5 | crop > decoded.npy
    [ "$(field shape decoded.npy)" = "[29,58,61]" ]
}

@test "windows: the window and hop of decode-multislice" {
    decode=(decode-multislice -q -w multislice.safetensors decode-multislice.npy)
    "${decode[@]}" > hop1.npy
    "${decode[@]}" --hop 2 > hop2.npy
    "${decode[@]}" --window 7 > whole.npy
    assert_different hop1.npy hop2.npy
    assert_different hop1.npy whole.npy
    # Slices of a window by itself: 0 to 2 and 4 to 6 come from the first and the last one.
    tensor-slice --range :5 decode-multislice.npy > first.npy
    tensor-slice --range 2: decode-multislice.npy > last.npy
    "${decode[@]/decode-multislice.npy/first.npy}" | tensor-slice --range :3 > a.npy
    "${decode[@]/decode-multislice.npy/last.npy}" | tensor-slice --range 2: > b.npy
    tensor-slice --range :3 hop1.npy > hop1-a.npy
    tensor-slice --range 4: hop1.npy > hop1-b.npy
    assert_same a.npy hop1-a.npy
    assert_same b.npy hop1-b.npy
    # A tie between hop 2's windows 0-4 and 2-6, slice 3, goes to the earlier one.
    "${decode[@]/decode-multislice.npy/first.npy}" | tensor-slice --range :4 > c.npy
    tensor-slice --range :4 hop2.npy > hop2-c.npy
    assert_same c.npy hop2-c.npy
    run -2 "${decode[@]}" --hop 6
    [[ "$output" == *"--hop 6 leaves slices between windows of 5"* ]]
}

@test "--ema needs averaged weights" {
    for name in "${networks[@]}"; do
        run --separate-stderr ${command[$name]} --ema "$name.npy"
        [ "$status" -eq 2 ]
        [[ "$stderr" == "$name: "*".safetensors holds no averaged weights (model_ema."* ]]
    done
    # Averages alone stand under names without dots; the time embedding's anchor stays as it was.
    edit_weights refiner.safetensors ema.safetensors 's/"model\.out\.2\.bias"/"model_ema.out2bias"/'
    ${command[refine-slice]} refine-slice.npy > plain.npy
    refine-slice -w ema.safetensors --ema --steps 2 refine-slice.npy > averaged.npy
    assert_same plain.npy averaged.npy
    run -2 refine-slice -w ema.safetensors --steps 2 refine-slice.npy
    [[ "$output" == *"ema.safetensors: no tensor model.out.2.bias (4)"* ]]
}

@test "weights may lie at any byte of their file" {
    for name in "${networks[@]}"; do
        ${command[$name]} "$name.npy" > expected.npy
        weights=$(sed 's/.* -w \([^ ]*\).*/\1/' <<< "${command[$name]}")
        # The data of safetensors files start where the header ends.
        edit_weights "$weights" odd.safetensors 's/"__metadata__":{/&"odd":"",/'
        [ $(($(weights_header odd.safetensors | wc -c) % 4)) -ne 0 ]
        ${command[$name]/$weights/odd.safetensors} "$name.npy" > odd.npy
        assert_same expected.npy odd.npy
    done
}

@test "weights in bf16 and f16 count as the numbers they hold" {
    if ! command -v python3 > /dev/null; then
        skip "no python3"
    fi
    for type in BF16 F16; do
        python3 - $type refiner.safetensors half.safetensors full.safetensors << 'end'
import array, json, struct, sys
kind, source, half, full = sys.argv[1:]
data = open(source, "rb").read()
start = 8 + int.from_bytes(data[:8], "little")
header, data = json.loads(data[8:start]), data[start:]

def write(name, header, data):
    text = json.dumps(header).encode()
    open(name, "wb").write(len(text).to_bytes(8, "little") + text + data)

if kind == "BF16":
    short, rounded = bytearray(len(data) // 2), bytearray(len(data))
    short[0::2], short[1::2] = data[2::4], data[3::4]
    rounded[2::4], rounded[3::4] = data[2::4], data[3::4]
else:
    numbers = array.array("f", data)
    short = struct.pack("<%de" % len(numbers), *numbers)
    rounded = array.array("f", struct.unpack("<%de" % len(numbers), short)).tobytes()
write(full, header, rounded)
for name, entry in header.items():
    if name != "__metadata__":
        entry["dtype"] = kind
        entry["data_offsets"] = [offset // 2 for offset in entry["data_offsets"]]
write(half, header, short)
end
        refine-slice -w half.safetensors --steps 2 refine-slice.npy > from-half.npy
        refine-slice -w full.safetensors --steps 2 refine-slice.npy > from-full.npy
        assert_same from-half.npy from-full.npy
        ${command[refine-slice]} refine-slice.npy > unrounded.npy
        assert_different from-half.npy unrounded.npy
    done
}

@test "fresh weights depend on their seed, and say how they were made" {
    init-weights refiner --width 32 --mult 1,2 --blocks 1 --attention 2 --groups 8 -o a.safetensors
    cmp a.safetensors refiner.safetensors
    init-weights refiner --width 32 --mult 1,2 --blocks 1 --attention 2 --groups 8 --seed 1 \
        -o b.safetensors
    run ! cmp -s a.safetensors b.safetensors
    refine-slice -w b.safetensors --steps 2 refine-slice.npy > b.npy
    ${command[refine-slice]} refine-slice.npy > a.npy
    assert_different a.npy b.npy
    [[ "$(weights_header b.safetensors)" == *'"history":"init-weights refiner '*'--seed 1"'* ]]
}
