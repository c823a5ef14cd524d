# Arrays of a stream: tensor-pick takes some, tensor-view --row shows all in one picture.

bats_require_minimum_version 1.5.0
load assert
load small

setup() {
    cd "$BATS_TEST_TMPDIR" || return
}

# numbers FILE: the index that each array carries.
numbers() {
    tensor-info --json "$1" | sed -E 's/.*"index":([0-9]+).*/\1/' | tr '\n' ' '
}

@test "tensor-pick takes arrays by number, as they are" {
    for i in 0 1 2 3 4; do
        noise --shape 3,1,4,5 --seed $i -o $i.npy
    done
    phantom -q -n 5 --shape 4,8,6 --seed 1 -o eyes.npy
    tensor-pick --range 2 [0-4].npy -o picked.npy
    assert_same picked.npy 2.npy
    tensor-pick --range 1:4:2 < <(cat [0-4].npy) > picked.npy
    cat 1.npy 3.npy > expected.npy
    assert_same picked.npy expected.npy
    [ "$(numbers eyes.npy)" = "0 1 2 3 4 " ]
    tensor-pick --range 3: eyes.npy > picked.npy
    [ "$(numbers picked.npy)" = "3 4 " ]
    tensor-pick --range :3 eyes.npy > first.npy
    cat first.npy picked.npy > both.npy
    assert_same both.npy eyes.npy
    printf '\1\2' > payload
    { bare '|u1' "2, "; cat payload; } > bare.npy
    cat bare.npy eyes.npy | tensor-pick --range 0 > picked.npy
    payload picked.npy | cmp - payload
}

@test "tensor-pick refuses what is not there, negative numbers and broken arrays" {
    noise --shape 3,1,4,5 > a.npy
    run --separate-stderr tensor-pick --range 1: a.npy
    assert_trouble tensor-pick "a.npy: --range 1:: there are 1 arrays"
    run --separate-stderr tensor-pick --range -1 a.npy
    assert_trouble tensor-pick "--range -1: arrays are counted from the first one"
    run --separate-stderr tensor-pick --range x a.npy
    assert_trouble tensor-pick "--range x: not a range"
    run --separate-stderr tensor-pick a.npy
    assert_trouble tensor-pick "--range is required"
    head -c 300 a.npy > cut.npy
    run --separate-stderr tensor-pick --range 1 -o out.npy a.npy cut.npy
    assert_trouble tensor-pick "cut.npy: "
    [ ! -e out.npy ]
}

# size PNG: columns and rows, from its header.
size() {
    od -An -tu1 -j 16 -N 8 "$1" | awk '{ print $3 * 256 + $4, $7 * 256 + $8 }'
}

@test "tensor-view --row puts the pictures of all arrays side by side" {
    for extent in 20 30; do
        noise --shape 4,1,$extent,10 | tensor-view --count 1 -o $extent.png
    done
    noise --shape 4,1,20,10 > a.npy
    noise --shape 4,1,30,10 > b.npy
    read -r wide high < <(size 20.png)
    read -r wide_b high_b < <(size 30.png)
    tensor-view --row --count 1 a.npy b.npy a.npy > row.png
    [ "$(size row.png)" = "$((2 * wide + wide_b + 2 * 4)) $high_b" ]
    [ "$high_b" -gt "$high" ]
    tensor-view --row --count 1 a.npy > one.png
    cmp one.png 20.png
    run --separate-stderr tensor-view a.npy b.npy
    assert_trouble tensor-view "use -o FILE or --row"
}
