# pipelines/train.mk at its smallest size: from nothing to a volume, killed on the way, with volumes
# of one's own.

bats_require_minimum_version 1.5.0
load small

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    train=(make --no-print-directory -f "$BATS_TEST_DIRNAME/../../pipelines/train.mk" BIN="$BIN"
        SIZE=tiny OUT=out FLAGS="-q --threads 2")
    weights=(nhae ldm3d refiner multislice)
    unset MAKEFLAGS MFLAGS # of the make that runs the tests
}

# run_until FILE: begin, and kill everything as soon as the file is there.
run_until() {
    local i
    setsid "${train[@]}" TRAIN_FLAGS="--checkpoint-minutes 0" 3>&- &
    for ((i = 0; i < 6000; i++)); do
        if [ -e "$1" ]; then break; fi
        sleep 0.01
    done
    kill -KILL -- "-$!"
    wait $! || true
    [ -e "$1" ]
}

@test "the cascade is trained and makes a volume; killed on the way, it ends the same" {
    mkdir whole killed
    cd whole
    "${train[@]}"
    [ "$(field shape out/volume.npy)" = "[16,32,32]" ]
    for part in "${weights[@]}"; do
        header=$(weights_header "out/weights/$part.safetensors")
        [[ "$header" == *'"F16"'* ]]
        run ! grep -qE '"F32"|"model_ema|"loss' <<< "$header"
    done
    [[ "$header" == *'"history":"init-weights autoencoder2d '*'train-autoencoder2d '*'train-nhae '*'train-decode-multislice '*'weights-cast '* ]]
    "${train[@]}" -q
    cd ../killed
    for file in eyes/0.npy runs/autoencoder2d.checkpoint runs/nhae.checkpoint z/0.npy \
        runs/refiner.checkpoint runs/multislice.tsv; do
        run_until out/$file
        [ ! -e out/volume.npy ]
    done
    "${train[@]}"
    cd ..
    for part in "${weights[@]}"; do
        cmp {whole,killed}/out/weights/$part.safetensors
    done
    cmp {whole,killed}/out/volume.npy
}

@test "volumes of one's own take the phantoms' place" {
    mkdir scans
    phantom -q -n 2 --shape 16,32,32 --seed 5 -o scans/left.npy
    phantom -q --shape 16,32,32 --seed 6 -o scans/right.npy
    "${train[@]}" EYES=scans out/weights/nhae.safetensors out/z/left.npy
    [ ! -e out/eyes ]
    [[ "$(weights_header out/weights/nhae.safetensors)" == *'left.npy u1 (16, 32, 32) crc32c '* ]]
    [ "$(field shape out/z/left.npy)" = "[2,4,4,4]" ]
    run -2 "${train[@]}" EYES=nowhere
    [[ "$output" == *"nowhere holds no *.npy"* ]]
    run -2 "${train[@]}" SIZE=huge
    [[ "$output" == *"SIZE=huge is none of tiny, demo, small, full"* ]]
}
