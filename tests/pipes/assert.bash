# What tests of all filters share.

# assert_message PROGRAM [WORDS], after run --separate-stderr: exit code 2 and one line on stderr,
# "PROGRAM: ...WORDS...".
assert_message() {
    echo "status $status, stdout '$output', stderr '$stderr'"
    [ "$status" -eq 2 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == "$1: "*"${2-}"* ]]
}

# The same, and nothing on stdout.
assert_trouble() {
    assert_message "$@"
    [ -z "$output" ]
}

# same FILE FILE: tensor-diff finds no difference.
same() {
    tensor-diff -q "$1" "$2"
}

assert_empty_folder() {
    ls -A "$1"
    [ -z "$(ls -A "$1")" ]
}

# start NAME COMMAND...: in the background, until it began NAME, at most 4 GB.
start() {
    local name=$1
    shift
    # Background jobs ignore SIGINT, and programs leave it so.
    (
        ulimit -f $((4 << 20))
        exec env --default-signal=INT,TERM "$@" 3>&-
    ) &
    for _ in {1..100}; do
        if compgen -G "$name*" > /dev/null; then
            return
        fi
        sleep 0.1
    done
    echo "$name was not begun"
    return 1
}

# assert_stops SIGNAL COMMAND...: the command ends by the signal within a second.
assert_stops() {
    local signal=$1 code=0
    shift
    mkdir "$signal"
    start "$signal/z.npy" "$@" -o "$signal/z.npy"
    [ ! -e "$signal/z.npy" ]
    sleep 0.3
    local before=$EPOCHREALTIME
    kill -s "$signal" $!
    wait $! || code=$?
    local after=$EPOCHREALTIME
    echo "$signal: ended with $code from $before to $after"
    [ $((${after/./} - ${before/./})) -lt 1000000 ]
    [ "$code" -eq $((128 + $(kill -l "$signal"))) ]
    assert_empty_folder "$signal"
    rmdir "$signal"
}

# A diffusion that takes a minute: many steps of a small network.
slow_diffusion() {
    init-weights ldm3d --width 8 --mult 1,2 --attention 2 --heads 2 --groups 4 -o ldm3d.safetensors
    slow=(diffuse3d -w ldm3d.safetensors -n 1 --shape 16,4,32,32 --sampler ddpm -q)
}
