# experiment-html: a pipeline's results as one page.

bats_require_minimum_version 1.5.0
load assert

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir -p run/full
    printf 'row\ttv\ttv-deviation\tseconds\nfull\t73.21987\t2.71828\t12\nreal <b>&"\t178.8\t\t\n' > run/table.tsv
    printf 'tv\t73.21987\t2.71828\t4\t\nfid-encoder-intra\t0.0183\t\t48\t24\t0.017\t0.021\n' > run/full/facts.tsv
    printf 'step\tloss\tseconds\tpsnr\n10\t1\t3\t\n20\t0.1\t6\t21.5\n30\t0.01\t9\t\n' > run/train.tsv
    phantom -q -n 2 --shape 6,20,24 --seed 1 -o run/full/volume.npy
    tensor-pick --range 0 run/full/volume.npy | tensor-view -o run/volumes.png
    init-weights refiner --width 8 --mult 1,2 --blocks 1 --attention 0 --groups 4 -o refiner.safetensors
    touch run/empty.tsv run/volume.npy.part run/notes.md run/.hidden.npy
}

@test "a page holds the tables, pictures, curves, commands and checksums of a folder" {
    experiment-html run/ refiner.safetensors -o page.html
    grep -qxF '<p class="command">experiment-html run/ refiner.safetensors</p>' page.html
    experiment-html run refiner.safetensors | sed 's|experiment-html run |experiment-html run/ |' | cmp - page.html
    [ "$(grep -oE '<h2>[A-Za-z]+' page.html | tr -d '\n')" = "<h2>Tables<h2>Pictures<h2>Training<h2>Measures<h2>Streams<h2>Weights" ]
    [ "$(grep -oE '<summary>[^<]*' page.html | sed 's/.*>//' | tr '\n' ' ')" = "run/table.tsv run/volumes.png run/train.tsv run/full/facts.tsv run/full/volume.npy refiner.safetensors " ]
    grep -qF '<th>tv</th><th>seconds</th>' page.html
    grep -qF '<td class="number" title="73.21987">73.22 ± 2.7</td><td class="number" title="12">12</td>' page.html
    grep -qF '<td>real &lt;b&gt;&amp;&quot;</td><td class="number" title="178.8">178.8</td><td></td>' page.html
    grep -qF '<td>fid-encoder-intra</td><td class="number" title="0.0183">0.0183</td><td></td><td class="number" title="48">48</td><td class="number" title="24">24</td><td class="number" title="0.017">0.017</td>' page.html
    sed -n 's/.*src="data:image\/png;base64,\([^"]*\)".*/\1/p' page.html | base64 -d | cmp - run/volumes.png
    # The checksums of the streams' own trailers.
    for array in 0 1; do
        tensor-pick --range $array run/full/volume.npy > one.npy
        checksum=$(grep -aoE '"crc32c":"[0-9a-f]{8}' one.npy | tail -c 9)
        grep -qF "array $((array + 1)): u1 (6, 20, 24), volume, crc32c $checksum" page.html
    done
    [ "$(grep -c '<li>phantom -n 2 --shape 6,20,24 --seed 1</li>' page.html)" -eq 1 ]
    grep -qE '[0-9]+ tensors of [0-9]+ numbers, [0-9]+ bytes, crc32c of the file [0-9a-f]{8}' page.html
    grep -qF '<dt>history</dt><dd><pre>init-weights refiner ' page.html
}

@test "curves are where their values are" {
    experiment-html run/train.tsv > page.html
    [ "$(grep -c '<svg' page.html)" -eq 2 ] # not of the seconds
    # The frame is 346 wide and 162 high, from (62, 24).
    grep -qF '<polyline points="62.0,24.0 235.0,171.3 408.0,186.0"/>' page.html
    grep -qF '<circle cx="235.0" cy="105.0" r="2"/>' page.html
    experiment-html --log run/train.tsv | grep -qF '<polyline points="62.0,24.0 235.0,105.0 408.0,186.0"/>'
}

@test "a page is well formed, needs no network and runs nothing" {
    experiment-html --title 'A "run" of <five> & six' run refiner.safetensors -o page.html
    grep -qF '<title>A &quot;run&quot; of &lt;five&gt; &amp; six</title>' page.html
    run ! grep -qE 'https?://|@import|url\(|<script|<link|<iframe' page.html
    grep -qF "default-src 'none'" page.html
    command -v python3 > /dev/null || skip "no python3"
    python3 - <<'END'
import html.parser

class Page(html.parser.HTMLParser):
    empty = {"meta", "img"}
    stack, count = [], 0
    def handle_starttag(self, tag, attributes):
        self.count += 1
        if tag not in self.empty:
            self.stack.append(tag)
    def handle_startendtag(self, tag, attributes):
        self.count += 1
    def handle_endtag(self, tag):
        assert self.stack.pop() == tag, (tag, self.getpos())

page = Page()
page.feed(open("page.html", encoding="utf-8").read())
page.close()
assert not page.stack and page.count > 100, page.stack
END
}

@test "a browser shows the page" {
    command -v chromium > /dev/null || skip "no chromium"
    experiment-html run refiner.safetensors -o page.html
    browser=(timeout 60 chromium --headless --no-sandbox --disable-gpu --window-size=900,1200 --user-data-dir="$PWD/profile")
    "${browser[@]}" --screenshot="$PWD/screen.png" "file://$PWD/page.html" 2> log
    "${browser[@]}" --screenshot="$PWD/blank.png" about:blank 2> log
    [ "$(stat -c %s screen.png)" -gt $((3 * $(stat -c %s blank.png))) ]
    "${browser[@]}" --dump-dom "file://$PWD/page.html" 2> log > dom.html
    grep -qF '73.22 ± 2.7' dom.html
    [ "$(grep -c '<svg' dom.html)" -eq 2 ]
}

@test "what is damaged, unknown or missing is refused, and leaves no page" {
    printf x | dd of=run/full/volume.npy bs=1 seek=3000 conv=notrunc status=none
    run --separate-stderr experiment-html run -o page.html
    assert_trouble experiment-html "run/full/volume.npy: wrong checksum"
    rm run/full/volume.npy
    for case in 'row\ta\tb\nx\t1\n:a line has 2 fields, not 3' 'tv\n:a line has 1 fields, not 2 to 7' \
        'step\tloss\nx\ty\n:line 2: "x" is no number'; do
        printf "${case%%:*}" > run/bad.tsv
        run --separate-stderr experiment-html run -o page.html
        assert_trouble experiment-html "run/bad.tsv: ${case#*:}"
    done
    rm run/bad.tsv
    echo "no picture" > run/bad.png
    run --separate-stderr experiment-html run -o page.html
    assert_trouble experiment-html "run/bad.png: not a PNG"
    run --separate-stderr experiment-html run/notes.md
    assert_trouble experiment-html "run/notes.md: not a *.tsv, *.png, *.npy or *.safetensors"
    run --separate-stderr experiment-html run/empty.tsv
    assert_trouble experiment-html "run/empty.tsv: the table is empty"
    run --separate-stderr experiment-html missing
    assert_trouble experiment-html "missing: No such file"
    mkdir bare
    run --separate-stderr experiment-html bare
    assert_trouble experiment-html "there is no *.tsv, *.png, *.npy or *.safetensors"
    [ ! -e page.html ]
}
