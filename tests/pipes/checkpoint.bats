# import-checkpoint: stored checkpoints of PyTorch become weight files that the filters load; trouble
# is one line on stderr, exit code 2, and no file. tests/unit/test_checkpoint*.c look at the numbers.

bats_require_minimum_version 1.5.0
load assert

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    ln -s "$BATS_TEST_DIRNAME/../../testdata/checkpoints"/* .
    mkdir out
}

@test "the filters of each part load what was imported" {
    import-checkpoint --part nhae nhae.ckpt --groups 2 -o nhae.safetensors
    import-checkpoint --part ldm3d ldm3d.ckpt --groups 2 --heads 2 -o ldm3d.safetensors
    import-checkpoint --part refiner refiner.ckpt --groups 2 --heads 2 -o refiner.safetensors
    import-checkpoint --part multislice multislice.ckpt --groups 2 -o multislice.safetensors
    import-checkpoint --part autoencoder2d autoencoder2d.ckpt --groups 2 -o pair.safetensors
    import-checkpoint --part discriminator autoencoder2d.ckpt -o judge.safetensors
    import-checkpoint --part lpips vgg16.pth lpips.pth -o lpips.safetensors
    phantom --shape 8,32,32 --seed 1 -o eye.npy
    encode3d -q -w nhae.safetensors eye.npy | latent-sr -q -w nhae.safetensors -o z_sr.npy
    encode2d -q -w pair.safetensors eye.npy | decode-multislice -q -w pair.safetensors > two.npy
    noise --shape 4,4,4,4 | diffuse3d -q -w ldm3d.safetensors --steps 2 > z.npy
    refine-slice -q -w refiner.safetensors --steps 2 z_sr.npy > z_hr.npy
    refine-slice -q --ema -w refiner.safetensors --steps 2 z_sr.npy > averaged.npy
    decode-multislice -q -w multislice.safetensors z_hr.npy | tensor-info
    train-autoencoder2d -q -w pair.safetensors --discriminator judge.safetensors \
        --lpips lpips.safetensors --steps 1 --held-out 0 eye.npy -o trained.safetensors
}

@test "averages replace the weights, here or when the file is read" {
    import-checkpoint --part refiner refiner.ckpt --groups 2 --heads 2 -o both.safetensors
    import-checkpoint --ema --part refiner refiner.ckpt --groups 2 --heads 2 -o ema.safetensors
    noise --shape 2,4,4,4 > z_sr.npy
    refine-slice -q --ema -w both.safetensors --steps 2 z_sr.npy > first.npy
    refine-slice -q -w ema.safetensors --steps 2 z_sr.npy > second.npy
    tensor-diff -q first.npy second.npy
    refine-slice -q -w both.safetensors --steps 2 z_sr.npy > plain.npy
    run -1 tensor-diff -q first.npy plain.npy
}

@test "a file and stdout are the same, and --memory too" {
    import-checkpoint --part autoencoder2d autoencoder2d.ckpt --groups 2 -o file.safetensors
    import-checkpoint --part autoencoder2d autoencoder2d.ckpt --groups 2 > stdout.safetensors
    import-checkpoint --part autoencoder2d autoencoder2d.ckpt --groups 2 --memory 100k -o - \
        | cmp - file.safetensors
    cmp file.safetensors stdout.safetensors
}

@test "-v says what was found" {
    run --separate-stderr import-checkpoint -v --part refiner refiner.ckpt --groups 2 --heads 2 \
        -o out/w
    echo "$stderr"
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"refiner.ckpt: names argparse.Namespace, which is not read"* ]]
    [[ "$stderr" == *"284 tensors, "*" MB, 142 of them averages; 2 left out" ]]
}

# refuses WORDS ARGUMENT...
refuses() {
    local words=$1
    shift
    run --separate-stderr import-checkpoint "$@" -o out/w
    assert_trouble import-checkpoint "$words"
    [ -z "$(ls -A out)" ]
}

@test "wrong files and parts are refused, without a file" {
    refuses "--part is required" refiner.ckpt
    refuses "an operand is missing" --part refiner
    refuses "none.ckpt: cannot open: No such file or directory" --part refiner none.ckpt
    refuses "out: not a regular file" --part refiner out
    refuses "5 of the 31 tensors of lpips are missing: lin0.model.1.weight, lin1" \
        --part lpips vgg16.pth
    refuses "refiner.ckpt: no nhae: there is no tensor encoder3D" --part nhae refiner.ckpt
    refuses "4 channels do not divide into 32 groups" --part refiner refiner.ckpt
    refuses "ldm3d.ckpt: holds no averages" --ema --part ldm3d --groups 2 --heads 2 ldm3d.ckpt
    import-checkpoint --part multislice multislice.ckpt --groups 2 -o done.safetensors
    refuses "it looks like safetensors" --part multislice done.safetensors
    run --separate-stderr import-checkpoint --part multislice multislice.ckpt --groups 2 \
        -o missing/w
    assert_trouble import-checkpoint "writing missing/w: No such file or directory"
}

@test "cut checkpoints are refused, without a file" {
    for file in refiner.ckpt ldm3d.ckpt multislice.ckpt; do
        size=$(stat -L -c %s $file)
        for length in 0 1 100 $((size / 2)) $((size - 1)); do
            head -c "$length" $file > cut.ckpt
            refuses "cut.ckpt: " --part "${file%.ckpt}" --groups 2 --heads 2 cut.ckpt
        done
    done
}
