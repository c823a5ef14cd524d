# pipelines/ablation.mk, presets.mk and fidelity.mk with small fresh weights: tables hold what octmetrics and the
# stages say.

bats_require_minimum_version 1.5.0
load small
load assert

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    mkdir weights real
    init-weights nhae --width 8 --width2d 8 --mult 1,1,1,1 --blocks 1 --groups 4 --codes 64 \
        -o weights/nhae.safetensors
    for part in ldm3d refiner; do
        init-weights $part --width 8 --mult 1,2 --blocks 1 --attention 2 --heads 2 --groups 4 \
            -o weights/$part.safetensors
    done
    init-weights multislice --width 8 --mult 1,1,1,1 --blocks 1 --groups 4 --codes 64 \
        -o weights/multislice.safetensors
    phantom -q -n 2 --shape 16,32,32 --seed 1 -o real/1.npy
    phantom -q --shape 16,32,32 --seed 2 -o real/2.npy
}

setup() {
    link_files
    unset MAKEFLAGS MFLAGS # of the make that runs the tests
}

# pipeline NAME VARIABLE=VALUE...
pipeline() {
    local name=$1
    shift
    make --no-print-directory -f "$BATS_TEST_DIRNAME/../../pipelines/$name.mk" BIN="$BIN" \
        WEIGHTS=weights REAL=real COUNT=2 SHAPE=2,4,4,4 SEED=5 OUT=out FLAGS="-q --threads 2" "$@"
}

# cell ROW COLUMN: of the table.
cell() {
    awk -F '\t' -v row="$1" -v column="$2" 'NR == 1 { for (i in column_of) delete column_of[i]
            for (i = 1; i <= NF; i++) column_of[$i] = i }
        $1 == row { print $column_of[column] }' out/table.tsv
}

# assert_quality ROW VOLUMES: the table has what octmetrics says of them.
assert_quality() {
    local measure name value rest
    for measure in tv slice-difference projection-difference; do
        IFS=$'\t' read -r name value rest < <(octmetrics --tsv $measure "$2")
        [ "$(cell "$1" "$name")" = "$value" ]
    done
    [ "$(cell "$1" tv-deviation)" = "$(octmetrics --tsv tv "$2" | cut -f 3)" ]
}

# assert_distances ROW A B: the table has that of A to B.
assert_distances() {
    local name value rest lines=0
    while IFS=$'\t' read -r name value rest; do
        [ "$(cell "$1" "$name")" = "$value" ]
        lines=$((lines + 1))
    done < <(octmetrics fid -q --tsv -w weights/nhae.safetensors "$2" "$3")
    [ $lines -eq 2 ]
}

# assert_cost ROW STAGE...: each took time and memory; the row has their sums, and the highest.
assert_cost() {
    local row=$1 stage
    shift
    for stage in "$@"; do
        echo "$(cell "$row" "seconds-$stage") $(cell "$row" "mib-$stage")"
    done | awk -v seconds="$(cell "$row" seconds)" -v mib="$(cell "$row" mib)" \
        -v pipe="$(cell "$row" mib-pipe)" -v stages=$# '
        !($1 > 0 && $2 > 1) { exit 1 }
        { seconds -= $1; pipe -= $2; high = $2 > high ? $2 : high; rows++ }
        END { exit !(rows == stages && high == mib && seconds^2 < 1e-8 && pipe^2 < 1e-8) }'
}

assert_png() {
    [ "$(head -c 4 "$1" | tail -c 3)" = PNG ]
}

@test "the ablation: the same latents three ways, and what octmetrics says of them" {
    flags=(DIFFUSE_FLAGS="--steps 4" REFINE_FLAGS="--steps 4")
    pipeline ablation "${flags[@]}" SEEN=real/1.npy
    [ "$(cut -f 1 out/table.tsv | tr '\n' ' ')" = "row global refined full real " ]
    [ "$(grep -cE '^\| (global|refined|full) ' out/table.md)" -eq 6 ]
    [ "$(grep -c '^| real ' out/table.md)" -eq 1 ]
    assert_png out/volumes.png
    for row in global refined full; do
        assert_quality $row out/$row/volume.npy
        assert_distances $row out/$row/volume.npy real
        [ "$(cell $row nearest)" = "$(octmetrics nearest --tsv out/$row/volume.npy real/1.npy | cut -f 2)" ]
        [ "$(field shape out/$row/volume.npy)" = "[16,32,32]" ]
    done
    assert_quality real real
    cat <(tensor-pick --range 0 real/1.npy) real/2.npy > even.npy
    assert_distances real even.npy <(tensor-pick --range 1 real/1.npy)
    [ -z "$(cell real seconds)" ]
    assert_cost global diffuse3d latent-sr decode-multislice
    [ -z "$(cell global seconds-refine-slice)" ]
    assert_cost full diffuse3d latent-sr refine-slice decode-multislice
    decode-multislice -q -w weights/nhae.safetensors out/z_sr.npy -o expected.npy
    assert_same expected.npy out/global/volume.npy
    decode-multislice -q -w weights/nhae.safetensors out/z_hr.npy -o expected.npy
    assert_same expected.npy out/refined/volume.npy
    decode-multislice -q -w weights/multislice.safetensors out/z_hr.npy -o expected.npy
    assert_same expected.npy out/full/volume.npy
    # It goes on where it was stopped, and leaves alone what is there.
    rm out/full/facts.tsv out/table.tsv
    run -0 pipeline ablation "${flags[@]}" SEEN=real/1.npy
    run ! grep -E 'measured |octmetrics fid' <<< "$output"
    [ -s out/table.tsv ]
    # All of it as a page, with the log that lies beside the weights.
    printf 'step\tloss\n1\t2\n3\t1\n' > weights/ldm3d.tsv
    pipeline ablation "${flags[@]}" SEEN=real/1.npy page
    [ "$(grep -c '^<summary>weights/.*safetensors</summary>' out/page.html)" -eq 4 ]
    grep -qF '<summary>weights/ldm3d.tsv</summary>' out/page.html
    grep -qF '<summary>out/full/volume.npy</summary>' out/page.html
    grep -qF "<td>global</td><td class=\"number\" title=\"$(cell global fid-encoder-intra)\">" out/page.html
}

@test "presets: stages in common are made once, and cost each preset" {
    pipeline presets PRESETS="dpm-10 hop mine" PRESET_hop="dpm-10 dpm-10 3" \
        PRESET_mine="dpm-10 back 1" SAMPLER_back="--steps 4 --start 500" > log 2>&1
    [ "$(cut -f 1 out/table.tsv | tr '\n' ' ')" = "row dpm-10 hop mine real " ]
    [ "$(grep -c 'measured .* diffuse3d ' log)" -eq 1 ]
    [ "$(grep -c 'measured .* refine-slice ' log)" -eq 2 ]
    assert_png out/volumes.png
    for row in dpm-10 hop mine; do
        assert_quality $row out/$row/volume.npy
        assert_distances $row out/$row/volume.npy real
        assert_cost $row diffuse3d latent-sr refine-slice decode-multislice
        [ "$(cell $row seconds-diffuse3d)" = "$(cut -f 2 out/z/dpm-10.npy.cost)" ]
    done
    assert_quality real real
    diffuse3d -q -w weights/ldm3d.safetensors -n 2 --shape 2,4,4,4 --seed 5 --sampler dpm++ \
        --steps 10 | latent-sr -q -w weights/nhae.safetensors > z_sr.npy
    refine-slice -q -w weights/refiner.safetensors --seed 5 --steps 4 --start 500 z_sr.npy |
        decode-multislice -q -w weights/multislice.safetensors -o expected.npy
    assert_same expected.npy out/mine/volume.npy
    refine-slice -q -w weights/refiner.safetensors --seed 5 --sampler dpm++ --steps 10 z_sr.npy |
        decode-multislice -q -w weights/multislice.safetensors --hop 3 -o expected.npy
    assert_same expected.npy out/hop/volume.npy
    assert_different expected.npy out/dpm-10/volume.npy
}

@test "a stage that fails ends the pipeline and leaves no volume; what is missing is said" {
    init-weights ldm3d --width 8 --mult 1,2 --blocks 1 --attention 2 --heads 2 --groups 4 -o ldm3d
    run -2 pipeline ablation LDM3D=ldm3d DIFFUSE_FLAGS="--steps 7"
    [[ "$output" == *"diffuse3d: "*"7"* ]]
    [ ! -e out/z.npy ]
    run -2 pipeline ablation REAL=
    [[ "$output" == *"REAL="*"held out"* ]]
    run -2 pipeline ablation REAL=real/2.npy out/real/facts.tsv
    [[ "$output" == *"real/2.npy: --range 1::2: there are 1 arrays"* ]]
    run -2 pipeline presets PRESETS=mine
    [[ "$output" == *"PRESET_mine is not set to two samplers and a hop"* ]]
}

@test "fidelity: reconstructions from fewer numbers, and what octmetrics says of them" {
    local row axis
    phantom -q -n 2 --shape 16,32,32 --seed 3 --clean clean.npy -o volumes.npy
    pipeline fidelity REAL= VOLUMES=volumes.npy CLEAN=clean.npy REFINE_FLAGS="--steps 4"
    for row in area-z nhae refined full area-hr slices windows; do
        value() { octmetrics --tsv "$@" | cut -f 2; }
        [ "$(cell $row psnr-clean)" = "$(value psnr clean.npy out/$row/volume.npy)" ]
        [ "$(cell $row ssim-clean)" = "$(value ssim clean.npy out/$row/volume.npy)" ]
        [ "$(cell $row psnr)" = "$(value psnr volumes.npy out/$row/volume.npy)" ]
        [ "$(cell $row tv)" = "$(value tv out/$row/volume.npy)" ]
        for axis in H W; do
            reslice --along $axis volumes.npy > a.npy
            reslice --along $axis out/$row/volume.npy > b.npy
            [ "$(cell $row ssim-along-$axis)" = "$(value ssim a.npy b.npy)" ]
        done
    done
    downsample -f 8,4,4 --method area volumes.npy | resize --to 16,32,32 |
        same - out/area-z/volume.npy
    encode2d -q -w weights/nhae.safetensors volumes.npy |
        decode-multislice -q -w weights/multislice.safetensors | same - out/windows/volume.npy
    assert_png out/volumes.png
}
