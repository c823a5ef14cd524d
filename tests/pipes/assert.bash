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
