# octmetrics fid and kid: networks and their weights, subsets, intervals, through the real program.

bats_require_minimum_version 1.5.0
load assert

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# A small encoder and a narrow Inception network, and two sets of phantoms.
sets() {
    init-weights autoencoder2d --width 8 --mult 1,2 --blocks 1 --groups 4 --codes 16 --seed 3 \
        -o encoder.safetensors
    init-weights inception --width 2 --seed 4 -o inception.safetensors
    phantom -q -n 2 --shape 4,16,10 --seed 1 -o a.npy
    phantom -q -n 1 --shape 6,16,10 --seed 2 -o b.npy
}

@test "the features are those of the network that the weights are of" {
    sets
    run -0 octmetrics fid -q -w inception.safetensors a.npy b.npy
    [[ "${lines[0]}" =~ ^fid-inception-intra\ [0-9.e-]+\ of\ 8\ and\ 6\ slices$ ]]
    [[ "${lines[1]}" =~ ^fid-inception-inter\ [0-9.e-]+\ of\ 52\ and\ 26\ slices$ ]]
    all=$output
    [ "$(octmetrics fid -q --features inception --threads 1 --memory 20M -w inception.safetensors \
        a.npy b.npy)" = "$all" ]
    run -0 octmetrics fid -q --json --plane intra -w inception.safetensors a.npy b.npy
    [[ "$output" == '{"measure":"fid-inception-intra","value":'*',"slices":[8,6],"features":128}' ]]
    octmetrics fid -q -w inception.safetensors a.npy a.npy | awk '{ if ($2 > 1e-10) exit 1 }'
    run -0 octmetrics fid -q --plane intra -w encoder.safetensors a.npy b.npy
    [[ "$output" == fid-encoder-intra* ]]
    run --separate-stderr octmetrics fid --features inception -w encoder.safetensors a.npy b.npy
    assert_trouble octmetrics "encoder.safetensors: the file holds a 2-D encoder, not the Inception network"
    run --separate-stderr octmetrics kid --features encoder -w inception.safetensors a.npy b.npy
    assert_trouble octmetrics "inception.safetensors: the file holds the Inception network, not a 2-D encoder"
    run --separate-stderr octmetrics kid a.npy b.npy
    assert_trouble octmetrics "kid takes the features of a network: -w FILE"
    init-weights discriminator --width 2 -o other.safetensors
    run --separate-stderr octmetrics fid -w other.safetensors a.npy b.npy
    assert_trouble octmetrics "other.safetensors: the file holds neither a 2-D encoder"
}

@test "kid: subsets, their seed, deviation and size" {
    sets
    kid=(octmetrics kid -q --plane inter -w encoder.safetensors)
    run -0 "${kid[@]}" --subsets 20 --subset-size 10 --seed 1 a.npy b.npy
    [[ "$output" =~ ^kid-encoder-inter\ [0-9.e-]+\ deviation\ [0-9.e-]+\ of\ 52\ and\ 26\ slices$ ]]
    first=$output
    [ "$("${kid[@]}" --threads 1 --subsets 20 --subset-size 10 --seed 1 a.npy b.npy)" = "$first" ]
    [ "$("${kid[@]}" --subsets 20 --subset-size 10 --seed 2 a.npy b.npy)" != "$first" ]
    run -0 "${kid[@]}" --subsets 1 --tsv a.npy b.npy
    [[ "$output" == $'kid-encoder-inter\t'*$'\t\t52\t26' ]]
    run -0 --separate-stderr octmetrics kid --plane intra --subsets 3 -w encoder.safetensors a.npy b.npy
    [ "$stderr" = "octmetrics: kid-encoder-intra: subsets of 6 slices, as many as the smaller set has" ]
    # Slices of one set in two halves are alike: the unbiased estimate is about 0, not above.
    phantom -q -n 8 --shape 4,16,10 --seed 1 -o many.npy
    "${kid[@]}" --subset-size 20 many.npy many.npy | awk '{ exit !($2 < 3 * $4 && $2 > -3 * $4) }'
    run --separate-stderr "${kid[@]}" --subset-size 1 a.npy b.npy
    assert_trouble octmetrics "subset-size"
    tensor-slice --range 0 b.npy -o one.npy
    run --separate-stderr octmetrics kid -q --plane intra -w encoder.safetensors a.npy one.npy
    assert_trouble octmetrics "sets of 8 and 1 slices: kid-encoder-intra takes at least two"
}

@test "intervals by the bootstrap, in text, JSON and TSV" {
    sets
    for measure in fid kid; do
        measure_it=(octmetrics $measure -q --plane inter -w encoder.safetensors --bootstrap 20)
        "${measure_it[@]}" a.npy b.npy > text
        grep -qxE "$measure-encoder-inter [0-9.e-]+( deviation [0-9.e-]+)? interval [0-9.e-]+ [0-9.e-]+ of 52 and 26 slices" text
        "${measure_it[@]}" --threads 1 a.npy b.npy | cmp - text
        "${measure_it[@]}" --tsv a.npy b.npy |
            awk -F '\t' 'NF != 7 || $4 != 52 || $6 + 0 >= $7 + 0 { exit 1 }'
        run -0 "${measure_it[@]}" --json a.npy b.npy
        [[ "$output" == *'"interval":['*'],"slices":[52,26],"features":16}' ]]
    done
    # The value is the same without one.
    octmetrics fid -q --plane inter -w encoder.safetensors a.npy b.npy | awk '{ print $2 }' > value
    octmetrics fid -q --plane inter -w encoder.safetensors --bootstrap 2 a.npy b.npy |
        awk '{ print $2 }' | cmp - value
    run --separate-stderr octmetrics kid -q --plane inter -w encoder.safetensors --memory 20k a.npy b.npy
    assert_trouble octmetrics "--memory"
}
