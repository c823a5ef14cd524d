# Training programs on tiny networks: runs that are killed or stopped and continued, what the
# trained weights say, what is refused.

bats_require_minimum_version 1.5.0
load small

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    init-weights refiner --width 8 --mult 1,2 --blocks 1 --attention 2 --heads 2 --groups 4 \
        -o refiner.safetensors
    init-weights ldm3d --width 8 --mult 1,2 --blocks 1 --attention 0 --groups 4 \
        -o ldm3d.safetensors
    for i in 1 2 3; do
        noise --shape 3,4,4,6 --seed $i > z_sr$i.npy
        noise --shape 3,4,4,6 --seed 1$i > z_hr$i.npy
        noise --shape 4,4,2,4 --seed 2$i > z$i.npy
    done
    eye=$BATS_TEST_DIRNAME/../../testdata/eye-32x64x64.tif
    local size=(--mult 1,2,2 --blocks 1 --groups 4 --codes 64)
    init-weights autoencoder2d --width 8 "${size[@]}" -o autoencoder2d.safetensors
    init-weights nhae --width 4 --width2d 8 --levels 1 "${size[@]}" -o nhae.safetensors \
        --from autoencoder2d.safetensors
    init-weights multislice --width 8 "${size[@]}" --from nhae.safetensors -o multislice.safetensors
    init-weights discriminator --width 4 -o discriminator.safetensors
    for i in 0 1 2; do
        tiff-to-tensor "$eye" | crop --to 10,24,32 --from $((10 * i)),20,16 > v$i.npy
    done
}

setup() {
    link_files
    refine=(train-refine-slice -w refiner.safetensors --batch 2 --accumulate 2 --warm-up 4
        --validate-every 20 --log-every 5 z_sr1.npy z_sr2.npy z_sr3.npy
        z_hr1.npy z_hr2.npy z_hr3.npy)
    diffuse=(train-diffuse3d -w ldm3d.safetensors --accumulate 2 --warm-up 4 --ema 0.9
        z1.npy z2.npy z3.npy)
    auto=(train-autoencoder2d -w autoencoder2d.safetensors --crop 16,24 --batch 2 --accumulate 2
        --discriminator discriminator.safetensors --adversarial-start 3 --code-warm-up 8
        v0.npy v1.npy v2.npy)
    nhae=(train-nhae -w nhae.safetensors --crop 8,16,16 --batch 3 --accumulate 2 --code-warm-up 99
        --discriminator discriminator.safetensors v0.npy v1.npy v2.npy)
    multislice=(train-decode-multislice -w multislice.safetensors --encoder nhae.safetensors
        --crop 16,16 --batch 3 --accumulate 1 --ema 0.99
        --discriminator discriminator.safetensors v0.npy v1.npy v2.npy)
}

# metadata KEY FILE: of a safetensors file.
metadata() {
    weights_header "$2" | sed -nE 's/.*"'"$1"'":"(([^"\\]|\\.)*)".*/\1/p'
}

# wait_for FILE
wait_for() {
    local i
    for ((i = 0; i < 6000; i++)); do
        if [ -e "$1" ]; then return; fi
        sleep 0.01
    done
    false
}

@test "a run killed and continued ends with the same weights, on any number of threads" {
    for name in refine diffuse auto nhae multislice; do
        declare -n command_line=$name
        "${command_line[@]}" --checkpoint-minutes 0 -o killed.safetensors &
        wait_for killed.safetensors
        kill -KILL $!
        wait $! || [ $? -eq 137 ]
        steps=$(($(metadata step killed.checkpoint) + 5))
        run -0 --separate-stderr "${command_line[@]}" --steps $steps -o killed.safetensors
        [[ "$stderr" == *": continues after step $((steps - 5))"* ]]
        "${command_line[@]}" --steps $steps --threads 1 -o whole.safetensors # as on all cores
        cmp whole.safetensors killed.safetensors
        [ "$(metadata steps whole.safetensors)" = $steps ]
        rm whole.* killed.*
    done
}

@test "every program trains in bf16, without quantizers as in fp32 to the accuracy of bf16" {
    grep -q avx512_bf16 /proc/cpuinfo || skip "this processor does not multiply bf16"
    local name type bound
    for name in refine diffuse auto nhae multislice; do
        declare -n command_line=$name
        for type in fp32 bf16; do
            "${command_line[@]}" --precision $type --steps 4 --log-every 1 -o $type.safetensors
            awk 'NR == 1 { for (i = 1; !($i ~ /^(loss|l1)$/); i++); next } { print $i }' FS='\t' \
                $type.tsv > $type.losses
            [ "$(wc -l < $type.losses)" -eq 4 ]
        done
        # Losses are means of differences of values of order 1, each known to 2^-8; where one is
        # next to the border of two codes, its code is another, and all that can be said is that
        # values in [-1,1] differ by less than 2.
        case $name in refine | diffuse) bound=0.02 ;; *) bound=2 ;; esac
        paste fp32.losses bf16.losses | awk -v bound=$bound '
            !($1 > 0 && $2 > 0 && $2 < 2 && ($1 - $2)^2 < bound^2) { exit 1 }'
        rm fp32.* bf16.*
    done
}

@test "killed at twenty random moments, a run loses no checkpoint and ends with the same weights" {
    local name i step last
    RANDOM=11
    for name in refine auto; do
        declare -n command_line=$name
        last=0
        for ((i = 0; i < 20; i++)); do
            "${command_line[@]}" --checkpoint-minutes 0 -o killed.safetensors &
            sleep 0.$((RANDOM % 50 + 10))
            kill -"$([ $((i % 5)) = 4 ] && echo TERM || echo KILL)" $!
            wait $! || [ $? -gt 128 ]
            if [ -e killed.checkpoint ]; then
                step=$(metadata step killed.checkpoint)
                [ "$step" -ge "$last" ]
                last=$step
            fi
            if [ -e killed.safetensors ]; then
                weights-cast -q killed.safetensors -o cast.safetensors
            fi
        done
        [ "$last" -gt 0 ]
        "${command_line[@]}" --steps $((last + 5)) -o killed.safetensors
        "${command_line[@]}" --steps $((last + 5)) -o whole.safetensors
        cmp whole.safetensors killed.safetensors
        rm whole.* killed.*
    done
}

@test "a signal lets the step finish and saves" {
    "${refine[@]}" -o stopped.safetensors --checkpoint-minutes 1000 2> messages &
    wait_for stopped.tsv
    sleep 0.2
    kill -TERM $!
    wait $! || [ $? -eq 143 ]
    steps=$(metadata steps stopped.safetensors)
    [ "$steps" -ge 1 ]
    [ "$(metadata step stopped.checkpoint)" = "$steps" ]
    [ "$(tail -n 1 stopped.tsv | cut -f 1)" = "$steps" ]
    grep -q "are of step $steps" messages
    [ "$(find . -name '*.part-*' | wc -l)" -eq 0 ]
    "${refine[@]}" -o whole.safetensors --steps "$steps"
    cmp whole.safetensors stopped.safetensors
    # Time stops a run too.
    "${refine[@]}" -o timed.safetensors --minutes 0.0001
    [ "$(metadata steps timed.safetensors)" -ge 1 ]
}

@test "trained weights say what they are, and the samplers take them" {
    "${refine[@]}" --steps 25 -o r.safetensors
    [ "$(head -n 1 r.tsv)" = $'step\tseconds\tlearning_rate\tgradient_norm\tvalidation\tloss' ]
    [ "$(tail -n +2 r.tsv | cut -f 1 | tr '\n' ' ')" = "5 10 15 20 25 " ]
    [ "$(file -b --mime-type r.png 2> /dev/null || echo image/png)" = image/png ]
    scale=$(metadata latent_scale r.safetensors)
    awk "BEGIN { exit !($scale > 0.8 && $scale < 1.25) }" # of standard normals
    history=$(metadata history r.safetensors)
    [[ "$history" == "init-weights refiner "*"\\ntrain-refine-slice -w refiner.safetensors "* ]]
    [[ "$history" != *--steps* ]]
    [[ "$(metadata data r.safetensors)" == "z_sr1.npy f4 (3, 4, 4, 6) crc32c "* ]]
    [ "$(metadata data_history r.safetensors)" = "noise --shape 3,4,4,6 --seed 1" ]
    [[ "$(weights_header r.safetensors)" == *'"model_ema.out2weight"'* ]]
    refine-slice -w r.safetensors --steps 5 z_sr1.npy > raw.npy
    refine-slice -w r.safetensors --steps 5 --ema z_sr1.npy > averaged.npy
    refine-slice -w refiner.safetensors --steps 5 z_sr1.npy > fresh.npy
    assert_different raw.npy averaged.npy
    assert_different raw.npy fresh.npy
    for predict in v flow; do
        "${diffuse[@]}" --steps 2 --predict $predict --loss l2 --timesteps 50 \
            -o $predict.safetensors
        [ "$(metadata parameterization $predict.safetensors)" = $predict ]
        [ "$(metadata latent_shape $predict.safetensors)" = 4,4,2,4 ]
        [ "$(metadata timesteps $predict.safetensors)" = 50 ]
        diffuse3d -w $predict.safetensors -n 1 --steps 5 --sampler dpm++ > $predict.npy
        [ "$(field shape $predict.npy)" = "[4,4,2,4]" ]
    done
    "${refine[@]}" --steps 2 --predict v -o refined.safetensors
    [ "$(metadata parameterization refined.safetensors)" = v ]
    edit_weights refined.safetensors eps.safetensors \
        's/"parameterization":"v"/"parameterization":"eps"/'
    refine-slice -w refined.safetensors --steps 5 z_sr1.npy > refined.npy
    refine-slice -w eps.safetensors --steps 5 z_sr1.npy > eps.npy
    assert_different refined.npy eps.npy
    # Trained on from there: the weights' own process.
    train-diffuse3d -w flow.safetensors --steps 1 z1.npy z2.npy -o on.safetensors
    [ "$(metadata parameterization on.safetensors)" = flow ]
    [ "$(metadata latent_scale on.safetensors)" = "$(metadata latent_scale flow.safetensors)" ]
}

@test "a fresh latent super-resolution stretches along D" {
    noise --shape 1,4,6,8 --seed 3 > flat.npy
    latent-sr -w nhae.safetensors flat.npy > stretched.npy
    tensor-slice --range 0:1 stretched.npy > first.npy
    for d in 1 2 3; do
        tensor-slice --range $d:$((d + 1)) stretched.npy | tensor-diff -q first.npy -
    done
    # Nothing moves along W or H: what is mirrored before is mirrored after.
    noise --shape 2,4,6,8 --seed 4 > z.npy
    for axis in H W; do
        latent-sr -w nhae.safetensors z.npy | flip --axes $axis > after.npy
        flip --axes $axis z.npy | latent-sr -w nhae.safetensors > before.npy
        tensor-diff --l2 1e-5 before.npy after.npy # sums of other orders in the norm
    done
}

@test "trained auto-encoders serve the filters, and grow into one another" {
    "${auto[@]}" --steps 10 --validate-every 5 -o a.safetensors
    columns=$'validation\tpsnr\tl1\tcodebook\tgenerator\tadaptive_weight\tdiscriminator'
    [ "$(head -n 1 a.tsv)" = $'step\tseconds\tlearning_rate\tgradient_norm\t'"$columns" ]
    [ "$(awk -F '\t' 'NR == 2 { print $9 }' a.tsv)" != 0 ]
    crop --to 10,24,32 v0.npy | encode2d -w a.safetensors > z_a.npy
    encode2d -w autoencoder2d.safetensors v0.npy > z_fresh.npy
    assert_different z_a.npy z_fresh.npy
    init-weights nhae --from a.safetensors --width 4 --width2d 8 --levels 1 --mult 1,2,2 \
        --blocks 1 --groups 4 --codes 64 -o n0.safetensors
    encode2d -w n0.safetensors v0.npy > grown.npy
    assert_same grown.npy z_a.npy
    train-nhae -w n0.safetensors --discriminator a.safetensors --crop 8,16,16 --steps 2 \
        -o n.safetensors v?.npy
    encode2d -w n.safetensors v0.npy > frozen.npy
    assert_same frozen.npy z_a.npy
    for weights in n0 n; do
        crop --to 8,24,32 v0.npy | downsample -f 2 \
            | encode3d -w $weights.safetensors > z_$weights.npy
        latent-sr -w $weights.safetensors z_$weights.npy > z_sr_$weights.npy
    done
    assert_different z_n0.npy z_n.npy
    assert_different z_sr_n0.npy z_sr_n.npy
    init-weights multislice --from n.safetensors --width 8 --mult 1,2,2 --blocks 1 --groups 4 \
        --codes 64 -o m0.safetensors
    train-decode-multislice -w m0.safetensors --encoder n.safetensors --crop 16,16 --steps 2 \
        -o m.safetensors v?.npy
    decode-multislice -w m0.safetensors z_sr_n.npy > before.npy
    decode-multislice -w m.safetensors z_sr_n.npy > after.npy
    [ "$(field shape after.npy)" = "[8,24,32]" ]
    assert_different before.npy after.npy
    history=$(metadata history m.safetensors)
    for program in "init-weights autoencoder2d" train-autoencoder2d "init-weights nhae" train-nhae \
        "init-weights multislice" train-decode-multislice; do
        [[ "$history" == *"$program "* ]]
    done
}

@test "an auto-encoder learns" {
    # The mean gray alone would leave four fifths of the first steps' error.
    train-autoencoder2d -w autoencoder2d.safetensors --learning-rate 1e-3 --batch 4 --steps 90 \
        --threads 1 --validate-every 90 --log-every 10 v?.npy -o learned.safetensors
    awk -F '\t' 'NR == 2 { first = $7 } END { exit !($7 < 0.7 * first) }' learned.tsv
}

@test "a network learns" {
    # The same latent everywhere: what is left of the noise tells all.
    for i in 1 2 3; do cp z1.npy same$i.npy; done
    train-diffuse3d -w ldm3d.safetensors --accumulate 2 --batch 4 --warm-up 10 \
        --learning-rate 5e-3 --threads 1 --log-every 40 --validate-every 40 --steps 160 same?.npy \
        -o learned.safetensors
    awk -F '\t' 'NR == 2 { first = $5 } NR == 5 { exit !($5 < 0.8 * first) }' learned.tsv
}

@test "memory bounds the plan and changes no result" {
    for i in 1 2 3 4; do noise --shape 2,4,16,24 --seed $i > wide$i.npy; done
    refine=(train-refine-slice -w refiner.safetensors --batch 2 --steps 3 wide?.npy)
    run -0 --separate-stderr "${refine[@]}" -v -o free.safetensors
    [[ "$stderr" =~ plan:\ ([0-9.]+)\ MiB ]]
    bytes=$(awk "BEGIN { printf \"%d\", ${BASH_REMATCH[1]} * 1048576 * 0.9 }")
    "${refine[@]}" --memory "$bytes" -o bounded.safetensors
    cmp free.safetensors bounded.safetensors
    run -2 --separate-stderr "${refine[@]}" --memory 2M -o small.safetensors
    [[ "$stderr" == *MiB*allow* ]]
    [ ! -e small.safetensors ]
}

# refused WORD COMMAND...: exit 2, one line with the word, nothing written.
refused() {
    local word=$1
    shift
    run -2 --separate-stderr "$@" -o refused.safetensors
    echo "$stderr"
    [[ "$stderr" == *"$word"* ]]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [ ! -e refused.safetensors ]
}

@test "what cannot be trained is refused" {
    refused "as many of z_sr as of z_hr" train-refine-slice -w refiner.safetensors z_sr1.npy
    refused "--held-out 1 of 1" train-diffuse3d -w ldm3d.safetensors z1.npy
    refused "where f4 (3, 4, 4, 6) is expected" \
        train-refine-slice -w refiner.safetensors z_sr1.npy z_sr2.npy z_hr1.npy z2.npy
    refused "2-D U-Net" train-diffuse3d -w refiner.safetensors z1.npy z2.npy
    refused "missing.npy" train-diffuse3d -w ldm3d.safetensors missing.npy
    refused "not an NPY array" train-diffuse3d -w ldm3d.safetensors ldm3d.safetensors
    refused "schedule" train-diffuse3d -w ldm3d.safetensors --schedule wrong z1.npy z2.npy
    refused "H = 18 is not a multiple of 4" \
        train-autoencoder2d -q -w autoencoder2d.safetensors --crop 18,16 v0.npy v1.npy
    refused "is smaller than the" \
        train-autoencoder2d -q -w autoencoder2d.safetensors --crop 32,16 v0.npy v1.npy
    refused "H,W is expected" train-autoencoder2d -q -w autoencoder2d.safetensors --crop 8 v0.npy
    refused "a volume u1 or f4" train-autoencoder2d -q -w autoencoder2d.safetensors z1.npy z2.npy
    refused "no 3-D encoder" train-nhae -q -w autoencoder2d.safetensors v0.npy v1.npy
    refused "no 3-D adaptors" train-decode-multislice -q -w autoencoder2d.safetensors \
        --encoder nhae.safetensors v0.npy v1.npy
    refused "no discriminator" train-autoencoder2d -q -w autoencoder2d.safetensors \
        --discriminator nhae.safetensors v0.npy v1.npy
    refused "no LPIPS" train-autoencoder2d -q -w autoencoder2d.safetensors \
        --lpips nhae.safetensors v0.npy v1.npy
    refused "has another shape" init-weights nhae --from autoencoder2d.safetensors --width2d 16 \
        --levels 1 --mult 1,2,2 --blocks 1 --groups 4 --codes 64
    run -2 --separate-stderr "${diffuse[@]}" --steps 1 -o -
    [[ "$stderr" == *"need a file's name"* ]]
    "${diffuse[@]}" --steps 1 -o mine.safetensors
    run -2 --separate-stderr "${diffuse[@]}" --steps 1 --seed 2 -o mine.safetensors
    [[ "$stderr" == *"mine.checkpoint: is of another run"* ]]
}

# No temporary file is left.
assert_clean() {
    [ "$(find . -name '*.part-*' | wc -l)" -eq 0 ]
}

@test "a run that diverges says so and leaves the last checkpoint" {
    local wild=(train-diffuse3d -w ldm3d.safetensors -q --threads 1 --accumulate 1 --loss l2
        --learning-rate 1 --warm-up 200 --steps 2000 z1.npy z2.npy z3.npy)
    run -2 --separate-stderr "${wild[@]}" --checkpoint-minutes 0 -o d.safetensors
    echo "$stderr"
    [ "${#stderr_lines[@]}" -eq 1 ]
    pattern='^train-diffuse3d: diverged at step ([0-9]+): .*; '
    pattern+='d.safetensors and d.checkpoint are of step ([0-9]+)$'
    [[ "$stderr" =~ $pattern ]]
    [ "$((BASH_REMATCH[1] - 1))" = "${BASH_REMATCH[2]}" ]
    [ "$(metadata step d.checkpoint)" = "${BASH_REMATCH[2]}" ]
    [ "$(metadata steps d.safetensors)" = "${BASH_REMATCH[2]}" ]
    assert_clean
    run -2 --separate-stderr "${wild[@]}" -o e.safetensors
    [[ "$stderr" == *"; nothing was saved before" ]]
    [ ! -e e.safetensors ]
}

@test "a disk that is full at a checkpoint stops the run and leaves the one before" {
    "${refine[@]}" --steps 4 -o t.safetensors
    cp t.safetensors before.safetensors
    cp t.checkpoint before.checkpoint
    run -2 --separate-stderr bash -c 'trap "" XFSZ; ulimit -f 200; exec "$@"' - \
        "${refine[@]}" -q --steps 8 -o t.safetensors
    echo "$stderr"
    [[ "$stderr" == "train-refine-slice: writing t.checkpoint: "* ]]
    [ "${#stderr_lines[@]}" -eq 1 ]
    cmp t.safetensors before.safetensors
    cmp t.checkpoint before.checkpoint
    assert_clean
    "${refine[@]}" --steps 8 -o t.safetensors
    "${refine[@]}" --steps 8 -o whole.safetensors
    cmp t.safetensors whole.safetensors
}

@test "a second signal ends a run at once and leaves the checkpoint before" {
    local long=(train-refine-slice -w refiner.safetensors --batch 64 --accumulate 4096
        --checkpoint-minutes 0 z_sr1.npy z_sr2.npy z_hr1.npy z_hr2.npy -o l.safetensors)
    for signal in INT TERM; do
        # A shell's background job ignores SIGINT; env gives it back.
        env --default-signal=INT "${long[@]}" 2> messages &
        wait_for l.tsv
        sleep 0.3
        kill -$signal $!
        sleep 0.3
        kill -0 $! # it finishes its step, which takes long
        kill -$signal $!
        SECONDS=0
        status=0
        wait $! || status=$?
        [ "$status" -eq $((128 + $(kill -l $signal))) ]
        [ "$SECONDS" -le 2 ]
        [ ! -e l.safetensors ]
        [ ! -e l.checkpoint ]
        assert_clean
        rm l.tsv
    done
}

@test "curves of a log are drawn, and what is no log is refused" {
    "${auto[@]}" --steps 12 --log-every 3 --validate-every 6 -o a.safetensors
    plot-log a.tsv -o a-curves.png
    plot-log < a.tsv | cmp - a-curves.png
    # Nine columns beside step and seconds, two abreast: 5 rows of 220 pixels by 2 of 560.
    [ "$(od -An -tx1 -j 16 -N 8 a-curves.png | tr -d ' ')" = 000004600000044c ]
    plot-log --log a.tsv > logarithmic.png
    run ! cmp -s logarithmic.png a-curves.png
    for text in '' 'loss\n1\n' 'step\tloss\n' 'step\tloss\n1\n' 'step\tloss\n2\t1\n1\t1\n' \
        'step\tloss\n1\tx\n' 'step\tloss\n1\t\n'; do
        # shellcheck disable=SC2059 # the format is the file
        printf "$text" > bad.tsv
        run -2 --separate-stderr plot-log bad.tsv
        [[ "$stderr" == "plot-log: bad.tsv: "* || "$stderr" == "plot-log: the log holds"* ]]
        [ -z "$output" ]
    done
    run -2 --separate-stderr plot-log missing.tsv
}
