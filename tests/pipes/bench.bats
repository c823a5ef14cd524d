# The benchmark on small weights and maps: that it measures everything, and that its numbers agree
# with each other. How fast anything is, is not for tests.

bats_require_minimum_version 1.5.0
load small

bench=$BATS_TEST_DIRNAME/../../pipelines/bench

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    export PYTHON=false WEIGHTS=.
    make_weights
    "$BATS_TEST_DIRNAME/../../pipelines/bench/run" --quick --latent 16 --paths --training \
        > page.md
}

setup() {
    link_files
}

# cells FILE HEADING: the rows of the table under a heading, without blanks.
cells() {
    awk -v heading="## $2" '
        /^## / { inside = $0 == heading; head = 2 }
        inside && /^[|]/ && head-- <= 0 { gsub(/ /, ""); print }' "$1"
}

# peak PRECISION: in GFLOP/s, nothing where there is none.
peak() {
    sed -nE "s/^- $1 peak: ([0-9.]+) .*/\1/p" page.md
}

@test "each network has a row in each precision, whose numbers fit together" {
    cells page.md Networks > rows
    cat rows
    [ "$(peak fp32)" -gt 0 ]
    [ "$(grep -c '|fp32|' rows)" -eq 7 ]
    if [ -n "$(peak bf16)" ]; then
        [ "$(peak bf16)" -gt 0 ]
        [ "$(grep -c '|bf16|' rows)" -eq 6 ] # latent-sr is always fp32
    fi
    # Six shares rounded to tenths; two rates to tenths, their quotients to hundredths.
    awk -F '|' -v fp32="$(peak fp32)" -v bf16="$(peak bf16)" '
        function off(a, b) { return a > b ? a - b : b - a }
        {
            top = $3 == "bf16" ? bf16 : fp32; shares = 0
            for (i = 10; i <= 15; i++)
                shares += $i
            if (NF != 18 || off(shares, 100) > 0.31 || off($7, $6 / top) > 0.01 + 0.5 / top ||
                    off($9, $6 / $8) > 0.006 + 0.1 / $8 || !($5 >= 0 && $17 >= $16)) {
                print "does not fit: " $0
                exit 1
            }
        }' rows
}

@test "each network that is trained has a row of a step, whose numbers fit together" {
    cells page.md Training > rows
    cat rows
    [ "$(grep -c '|fp32|' rows)" -eq 5 ]
    [ -z "$(peak bf16)" ] || [ "$(grep -c '|bf16|' rows)" -eq 5 ]
    # Seconds are to thousandths; four shares to tenths. What is held is part of the plan, and the
    # process holds more than that.
    awk -F '|' '
        function off(a, b) { return a > b ? a - b : b - a }
        {
            slack = 0.005 + 0.0005 / $5 * (1 + $6 / $5); shares = $12 + $13 + $14 + $15
            if (NF != 19 || off($7, $6 / $5) > slack || off(shares, 100) > 0.21 ||
                    !($4 > 0 && $8 > 0 && $10 > 0 && $17 >= $16 && $18 >= $17)) {
                print "does not fit: " $0
                exit 1
            }
        }' rows
}

@test "each convolution has an algorithm and a small error" {
    cells page.md Convolutions > rows
    cat rows
    grep -q '|fp32|.*|winogradfp32|' rows
    grep -q '|fp32|.*|directfp32|' rows
    # fp32: at most 27*128 products are summed, sqrt of that many roundings of 2^-24, and three
    # times as much by Winograd. bf16: weights and outputs are rounded by 2^-9 each at most. None
    # where a fresh network only copies its latent.
    awk -F '|' '
        { copies = $5 == "4>4" && $6 == "1x1x1" }
        NF != 13 || !($9 ~ /(fp32|bf16)$/ && $12 != "" && (copies || $12 > 0)) {
            print "not a row: " $0
            exit 1
        }
        $12 > ($9 ~ /bf16/ ? 2 ^ -8 : 3 * sqrt(27 * 128) * 2 ^ -24) { print "error: " $0; exit 1 }
        ' rows
    # Every shape once, and of each network no more than its whole time.
    [ -z "$(cut -d '|' -f 2-9 rows | sort | uniq -d)" ]
    awk -F '|' '{ sum[$2 $3] += $11 } END { for (k in sum) if (sum[k] > 100.5) exit 1 }' rows
}

@test "a network that fails has a row that says why" {
    mkdir broken
    cp ./*.safetensors broken
    : > broken/refiner.safetensors
    WEIGHTS=broken "$bench/run" --quick --latent 8 > page.md
    cat page.md
    cells page.md Networks > rows
    grep -q '^|refiner|fp32|failed:.*refiner.safetensors' rows
    [ "$(grep -c '|fp32|' rows)" -eq 7 ]
}

@test "presets add up" {
    "$bench/presets" --quick --shape 2,4,16,16 > presets.md
    cat presets.md
    awk '/^\| precision/ { inside = 1; next } inside && /^\| / { gsub(/ /, ""); print }' \
        presets.md > rows
    [ "$(grep -c '^|fp32|' rows)" -eq 6 ]
    # Five numbers rounded to hundredths; hours to thousandths.
    awk -F '|' '
        function off(a, b) { return a > b ? a - b : b - a }
        off($9, $5 + $6 + $7 + $8) > 0.026 || off($10, $9 * 16 / 3600) > 0.0006 { exit 1 }' rows
}

@test "the long run extrapolates from slices that came out" {
    "$bench/presets" --long 9 --shape 2,4,32,32 --steps 2 --global-steps 1 > long.md
    cat long.md
    grep -q '^- measured: global sampling, 1 steps' long.md
    grep -q '^- extrapolated: 1 more global steps and the other [0-9]* of 16 slices' long.md
    # Too short to say anything.
    run -1 --separate-stderr "$bench/presets" --long 0 --shape 2,4,32,32
    [[ "$stderr" == *"no slice came out"* ]]
}

@test "the benchmark of distances of sets, on a narrow network" {
    init-weights inception --width 2 -o inception.safetensors
    WEIGHTS=inception.safetensors PYTHON=false "$bench/fid" --slices 3 --size 32 --quick > fid.md
    cat fid.md
    grep -q "^- fp32 peak: " fid.md
    cells fid.md "Distances of sets" > rows
    [ "$(wc -l < rows)" -eq 3 ]
    # Rates of six slices, and a peak.
    awk -F '|' '$4 == 0 || $4 * $3 > 6.6 || $4 * $3 < 5.4 || $5 == 0 || $6 == "" { exit 1 }' rows
    [ "$(grep -c '^|inception|fp32|' <(cells fid.md "Inception network"))" -ge 20 ]
}

@test "each stage of a volume has a row, and the stages add up" {
    DEVICE=cpu SHAPE=2,4,8,8 "$bench/gpu-volume" --quick > volume.md
    cat volume.md
    # Seconds to thousandths, of four stages.
    awk -F ' *[|] *' '
        function off(a, b) { return a > b ? a - b : b - a }
        /^[|] (global|latent|refiner|decoder)/ {
            rows++
            if (!($3 > 0 && $4 > 0)) exit 1
            t[$2] = $3
        }
        /^[|] the paper/ {
            sum = t["global diffusion, 4 steps"] + t["latent super-resolution"]
            sum += t["refiner, 4 steps"] + t["decoder, hop 1"]
            if (off(sum, $3) > 0.0026) exit 1
        }
        /^[|] the last as one pipe/ { pipe = $3 }
        END { exit !(rows == 7 && pipe > 0) }' volume.md
}

@test "a stage that fails, or whose time is up, has a row that says so and stops nothing" {
    mkdir broken
    cp ./*.safetensors broken
    : > broken/refiner.safetensors
    DEVICE=cpu SHAPE=2,4,8,8 WEIGHTS=broken "$bench/gpu-volume" --quick > volume.md
    cat volume.md
    grep -q '^| refiner, 2 steps | failed (2): .*refiner.safetensors' volume.md
    grep -q '^| decoder, hop 3 | failed (2): ' volume.md
    grep -q "^| the paper's.* | unknown: refiner, 4 steps was not measured" volume.md
    grep -q '^| global diffusion, 4 steps | [0-9.]* |' volume.md
    DEVICE=cpu DEADLINE=1 "$bench/gpu-volume" --quick > volume.md
    [ "$(grep -c '| the time was up |' volume.md)" -eq 8 ]
}

@test "volumes of one device and precision are the same, of another nearly" {
    if [ -n "$SANITIZE" ]; then
        skip "it takes minutes, and other tests run its programs"
    fi
    DEVICE=cpu DEMO=none "$bench/gpu-agreement" > agreement.md
    cat agreement.md
    grep -q '^| fp32 | inf | inf |$' agreement.md
    # Two fresh volumes are 10 dB apart; without bf16 there is a reason.
    awk -F ' *[|] *' '$2 == "bf16" { found = $3 ~ /^failed.*bf16/ || ($3 > 13 && $4 > 13) }
        END { exit !found }' agreement.md
}

@test "the bundle says what there is, and that there is no device" {
    if [ -n "$SANITIZE" ]; then
        skip "its programs are those of make"
    fi
    "$bench/../bundle" "$PWD/bundle"
    run --separate-stderr bundle/run device
    echo "$stderr"
    [ "$status" -eq 0 ] || [[ "$status" -eq 2 && "$stderr" == *"run: no CUDA device: "* ]]
    grep -q '^PyTorch: ' bundle/results/tests.txt
}
