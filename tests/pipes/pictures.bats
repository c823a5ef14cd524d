# Pages of volumes (volume-html), and labels and surfaces in pictures (tensor-view).

bats_require_minimum_version 1.5.0
load assert

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    phantom -q --shape 6,20,24 --surfaces surfaces.npy -o eye.npy
}

# npy DESCR SHAPE: a bare NPY array of the payload on stdin, as NumPy writes it.
npy() {
    local dictionary="{'descr': '$1', 'fortran_order': False, 'shape': ($2), }"
    printf '\x93NUMPY\x01\x00\x76\x00%-117s\n' "$dictionary"
    cat
}

# pictures CLASS [PAGE]: the volume that the page's pictures of a class are.
pictures() {
    local folder count=0 text
    folder=$(mktemp -d -p .)
    while read -r text; do
        base64 -d <<< "$text" > "$folder/$count.png"
        count=$((count + 1))
    done < <(grep "^<img class=\"$1\"" "${2:-/dev/stdin}" | sed 's/.*base64,//; s/">$//')
    read-volume -q "$folder"
}

@test "a page's slices are the volume, of either type and in a window" {
    volume-html eye.npy | pictures slice | same - eye.npy
    volume-html -o page.html < eye.npy
    pictures slice page.html | same - eye.npy
    tensor-cast --volume f4 eye.npy > real.npy
    volume-html real.npy | pictures slice | same - eye.npy
    tensor-cast --to u1 --scale 5 eye.npy > bright.npy
    volume-html --window 0,51 eye.npy | pictures slice | same - bright.npy
    resize --to 6,8,8 --method area real.npy | volume-html | pictures slice > expected.npy
    volume-html --most 8 real.npy | pictures slice | same - expected.npy
}

@test "a page loads nothing and is one file, whatever the names in it" {
    cp eye.npy 'eye <script>&.npy'
    volume-html 'eye <script>&.npy' -o page.html
    [ "$(grep -c '<script>' page.html)" -eq 1 ]
    [ "$(grep -c '</script>' page.html)" -eq 2 ]
    grep -qF '"title":"eye \u003cscript>&.npy"' page.html
    grep -qF '"history":["phantom --shape 6,20,24",' page.html
    grep -qF '"side":[1,0.1,0.25]' page.html
    [ "$(grep -oE "(src|href)=.{12}" page.html | sort -u)" = 'src="data:image/' ]
    run ! grep -qE 'https?://|@import|url\(|fetch\(|XMLHttpRequest' page.html
    grep -qF "default-src 'none'" page.html
    [ "$(grep -c '^<img' page.html)" -eq 6 ]
}

@test "labels and surfaces lie over the volume" {
    tensor-cast --to u1 --scale 0.02 eye.npy > labels.npy
    volume-html --overlay labels.npy eye.npy > page.html
    pictures label page.html | same - labels.npy
    pictures slice page.html | same - eye.npy
    grep -qF '"overlay":"labels"' page.html
    volume-html --overlay surfaces.npy eye.npy | grep -qF '"overlay":"surfaces"'
    # rows 1, 1, 4, 0 of six: a line joined along W
    printf '\1\1\4\0' | npy '|u1' '1, 1, 4' | tensor-cast --to f4 > line.npy
    head -c 24 /dev/zero | npy '|u1' '1, 6, 4' > black.npy
    printf '%b' '\0\0\0\1' '\1\1\0\1' '\0\0\1\1' '\0\0\1\1' '\0\0\1\0' '\0\0\0\0' |
        npy '|u1' '1, 6, 4' > joined.npy
    volume-html --overlay line.npy black.npy | pictures label | same - joined.npy
    # three of six rows and of four columns, the first two together: the highest label
    printf '%b' '\1\0\1' '\0\1\1' '\0\1\0' | npy '|u1' '1, 3, 3' > reduced.npy
    volume-html --most 3 --overlay joined.npy black.npy | pictures label | same - reduced.npy
}

@test "volumes in a stream have a page each, and an array of the overlay each" {
    phantom -q -n 2 --shape 4,20,8 --surfaces two-s.npy -o two.npy
    volume-html --overlay two-s.npy two.npy -o page.html
    [ "$(echo page*)" = "page-000.html page-001.html" ]
    tensor-pick --range 1 two.npy | same - <(pictures slice page-001.html)
    tensor-pick --range 1 two.npy > one.npy
    tensor-pick --range 1 two-s.npy > one-s.npy
    volume-html --overlay one-s.npy one.npy | pictures label |
        same - <(pictures label page-001.html)
    run --separate-stderr volume-html --overlay one-s.npy two.npy -o never.html
    assert_trouble volume-html "one-s.npy: there are more volumes than arrays"
    run -2 --separate-stderr volume-html two.npy
    [[ "$stderr" == *"stdout takes one page"* ]]
}

@test "volume-html refuses what it cannot show, and leaves no page of broken input" {
    run --separate-stderr volume-html <(noise --shape 4,4,4,4)
    assert_trouble volume-html "a volume u1 or f4 (D,H,W) is expected"
    run --separate-stderr volume-html --window 3,2 eye.npy
    assert_trouble volume-html "LO must be less than HI"
    run --separate-stderr volume-html --overlay - < eye.npy
    assert_trouble volume-html "both inputs are stdin"
    run --separate-stderr volume-html --overlay missing.npy eye.npy
    assert_trouble volume-html "missing.npy: No such file"
    run --separate-stderr volume-html --overlay <(phantom -q --shape 6,20,23) eye.npy
    assert_trouble volume-html "labels u1 (6, 20, 24) are expected, not u1 (6, 20, 23)"
    phantom -q --shape 6,20,23 --surfaces narrow.npy -o /dev/null
    run --separate-stderr volume-html --overlay narrow.npy eye.npy
    assert_trouble volume-html "narrow.npy: surfaces (S, 6, 24) are expected, not f4 (6, 6, 23)"
    truncate -s -1 eye.npy
    run --separate-stderr volume-html eye.npy -o never.html
    assert_trouble volume-html "eye.npy: "
    run --separate-stderr volume-html eye.npy -o no/never.html
    assert_trouble volume-html "no/never.html"
    [ -z "$(echo never* | grep -v 'never\*')" ]
}

# colour_type FILE: 0 is gray, 2 red, green and blue.
colour_type() {
    od -An -tu1 -j 25 -N 1 "$1" | tr -d ' '
}

@test "tensor-view draws labels in colour, and overlays over cuts and slices" {
    phantom -q --shape 6,20,24 --vessels vessels.npy -o /dev/null
    for kind in "vessels.npy" "--overlay surfaces.npy eye.npy" \
        "--overlay eye.npy --mode montage eye.npy"; do
        tensor-view $kind > picture.png
        [ "$(colour_type picture.png)" -eq 2 ]
    done
    for kind in "--window 0,2 vessels.npy" "eye.npy" \
        "--overlay surfaces.npy --between 0,1 eye.npy"; do
        tensor-view $kind > picture.png
        [ "$(colour_type picture.png)" -eq 0 ]
    done
    # a surface outside changes no pixel, and colours without a label are gray
    tensor-cast --to f4 --scale 0 --offset -9 surfaces.npy > outside.npy
    tensor-view --overlay outside.npy eye.npy > coloured.png
    tensor-view eye.npy > gray.png
    [ "$(colour_type coloured.png)" -eq 2 ]
    read-volume coloured.png | same - <(read-volume gray.png)
    # gray and coloured pictures in one row
    tensor-view --row vessels.npy <(tensor-slice --range 0 eye.npy) > row.png
    [ "$(colour_type row.png)" -eq 2 ]
}

@test "tensor-view takes the en-face mean between two surfaces" {
    tensor-cast --to f4 --scale 0 --offset 3 surfaces.npy | tensor-slice --range :1 > three.npy
    tensor-cast --to f4 --scale 0 --offset 6.5 surfaces.npy | tensor-slice --range :1 > six.npy
    tensor-cat three.npy six.npy > slab.npy
    tensor-slice --axis 1 --range 3:7 eye.npy | tensor-view --mode en-face > expected.png
    tensor-view --overlay slab.npy --between 0,1 eye.npy > between.png
    cmp expected.png between.png
    tensor-view --overlay slab.npy --between 1,0 --window 0,1 eye.npy > nothing.png
    read-volume nothing.png | tensor-info | grep -qF 'min 0, max 0'
}

@test "tensor-view refuses an overlay that does not fit" {
    run --separate-stderr tensor-view --between 0,1 eye.npy
    assert_trouble tensor-view "--between takes two numbers, A,B, and surfaces as --overlay"
    run --separate-stderr tensor-view --overlay surfaces.npy --between 0,6 eye.npy
    assert_trouble tensor-view "surfaces.npy: there is no surface 6; they are 0 to 5"
    run --separate-stderr tensor-view --overlay eye.npy --between 0,1 eye.npy
    assert_trouble tensor-view "eye.npy: these are labels, not surfaces"
    run --separate-stderr tensor-view --overlay surfaces.npy --mode en-face eye.npy
    assert_trouble tensor-view "an overlay lies over cuts and slices, not over a mean"
    run --separate-stderr tensor-view --overlay surfaces.npy <(noise --shape 6,4,20,24)
    assert_trouble tensor-view "surfaces.npy: an overlay needs a volume (D,H,W)"
}
