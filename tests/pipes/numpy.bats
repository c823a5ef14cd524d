# NumPy opens what the filters write, and they read what NumPy writes.

bats_require_minimum_version 1.5.0

setup() {
    python3 -c 'import numpy' 2> /dev/null || skip "python3 without numpy"
    cd "$BATS_TEST_TMPDIR" || return
}

@test "numpy.load opens a saved stage, memory-mapped too, whatever its history" {
    noise --shape 3,4,5,6 --seed 7 > z.npy
    cp z.npy long.npy
    scale=1.$(printf '%0150d' 0)
    for stage in $(seq 60); do
        tensor-cast --to f4 --scale "$scale" long.npy -o long.npy
    done
    run -0 tensor-info long.npy
    [[ "$output" == *"(earlier stages cut)"* ]]
    python3 - <<'END'
import numpy
for name in "z.npy", "long.npy":
    a = numpy.load(name)
    assert a.dtype == numpy.float32 and a.shape == (3, 4, 5, 6), a
    m = numpy.load(name, mmap_mode="r")
    assert m.offset % 64 == 0 and numpy.array_equal(a, m)
END
}

@test "numpy.load reads a stream, an array and a trailer at a time" {
    noise --shape 3,1,5,7 -n 2 > two.npy
    python3 - <<'END'
import json, numpy
with open("two.npy", "rb") as file:
    for index in range(2):
        assert file.tell() % 64 == 0
        a = numpy.load(file)
        assert a.shape == (3, 1, 5, 7), a.shape
        trailer = json.loads(numpy.load(file).tobytes())
        assert trailer["status"] == "complete" and trailer["bytes"] == a.nbytes, trailer
    assert file.read() == b""
END
}

@test "every type that NumPy writes is read as it is" {
    python3 - <<'END'
import numpy
r = numpy.random.default_rng(1)
for name in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1 >f2 >f4 >f8 >i2 >i4 >u2 >i8".split():
    t = numpy.dtype(name)
    a = (r.integers(0, 2, (3, 5)) if name == "b1" else r.normal(0, 1e3, (3, 5))).astype(t)
    numpy.save(name.replace(">", "big-") + ".npy", a)
    numpy.save("expected-" + name.replace(">", "big-") + ".npy", a.astype(numpy.float64))
END
    for file in [!e]*.npy; do
        echo "$file"
        tensor-diff "$file" "expected-$file"
        tensor-cast --to f8 "$file" | tensor-diff - "expected-$file"
        tensor-cast --to "$(tensor-info "$file" | sed -n '1s/.*: \(..\) (.*/\1/p')" "$file" > same.npy
        python3 -c '
import numpy, sys
a, b = numpy.load(sys.argv[1]), numpy.load("same.npy")
assert b.dtype == a.dtype.newbyteorder("<") and numpy.array_equal(a, b)' "$file"
    done
}

@test "headers of version 2, arrays without axes, and arrays one after another are read" {
    python3 - <<'END'
import numpy
a = numpy.arange(6, dtype="<f4").reshape(2, 3)
with open("two.npy", "wb") as file:
    numpy.lib.format.write_array(file, a, version=(2, 0))
    numpy.save(file, numpy.float64(7))
    numpy.save(file, numpy.asfortranarray(a[:, :1]))
END
    run -0 tensor-info two.npy
    [[ "$output" == *"array 1: f4 (2, 3)"*"array 2: f8 ()"*"array 3: f4 (2, 1)"* ]]
}

@test "what cannot be read is refused with the reason" {
    python3 - <<'END'
import numpy
a = numpy.zeros((2, 3), "f4")
numpy.save("fortran.npy", numpy.asfortranarray(a))
numpy.save("complex.npy", a.astype("c8"))
numpy.save("record.npy", numpy.zeros(2, [("a", "f4"), ("b", "u1")]))
numpy.save("object.npy", numpy.array([None]), allow_pickle=True)
numpy.save("nothing.npy", a[:0])
numpy.savez("archive.npz", a=a)
END
    while read -r file reason; do
        run --separate-stderr tensor-info "$file"
        echo "$stderr"
        [ "$status" -eq 2 ]
        [[ "$stderr" == "tensor-info: $file: $reason"* ]]
    done <<'END'
fortran.npy an array in Fortran order; save numpy.ascontiguousarray(a)
complex.npy type '<c8' is not supported
record.npy structured types are not supported
object.npy type '|O' is not supported
nothing.npy an array without elements: f4 (0, 3)
archive.npz not an NPY array (bad magic)
END
}

@test "statistics and casts agree with NumPy" {
    noise --shape 3,4,5,6 --seed 7 > z.npy
    tensor-info --json z.npy > info.json
    tensor-cast --to f2 z.npy > half.npy
    tensor-cast --to i2 --scale 1000 --offset 0.25 z.npy > whole.npy
    python3 - <<'END'
import json, numpy
a = numpy.load("z.npy").astype("f8")
info = json.load(open("info.json"))
for name, value in (("min", a.min()), ("max", a.max()), ("mean", a.mean()), ("deviation", a.std())):
    assert abs(info[name] - value) < 1e-13, name
assert sum(info["histogram"]) == a.size
assert numpy.array_equal(numpy.load("half.npy"), a.astype("f2"))
assert numpy.array_equal(numpy.load("whole.npy"), numpy.rint(a * 1000 + 0.25).astype("i2"))
END
}
