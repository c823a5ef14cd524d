# How every program behaves towards the shell: options, help, errors, pipes, signals, files.

bats_require_minimum_version 1.5.0
load assert

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    programs=()
    for source in "$BATS_TEST_DIRNAME"/../../filters/*.c; do
        programs+=("$(basename "$source" .c)")
    done
    # Longer than any pipe holds, and than a filter buffers.
    big=(noise --shape 64,4,128,128 --seed 7)
}

@test "every program answers -h and --help with its name, purpose and options" {
    for program in "${programs[@]}"; do
        echo "$program"
        run --separate-stderr "$program" -h
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        [[ "${lines[0]}" == "$program - "* ]]
        [[ "${lines[1]}" == "usage: $program "* ]]
        [[ "$output" == *"--help"* ]]
        run ! grep -nE '.{101,}' <<< "$output"
        [ "$("$program" --help)" = "$("$program" -h)" ]
    done
}

@test "every filter's help says what it reads and what it writes" {
    for program in "${programs[@]}"; do
        if [ "$program" != octpipe ]; then
            echo "$program"
            output=$("$program" --help)
            grep -qE '^(stdin|stdout): |^usage: .*\] [^ ]' <<< "$output"
            grep -q '^example:' <<< "$output"
        fi
    done
}

@test "every program says the same version" {
    for program in "${programs[@]}"; do
        run -0 "$program" --version
        [ "$output" = "$program (octpipe) $(octpipe --version | cut -d ' ' -f 3)" ]
    done
}

@test "every program refuses an unknown option and points to its help" {
    for program in "${programs[@]}"; do
        run --separate-stderr "$program" --no-such-option
        assert_trouble "$program"
        [ "$stderr" = "$program: unknown option --no-such-option; try $program --help" ]
    done
}

@test "every man page renders without warnings" {
    for program in "${programs[@]}"; do
        "$program" --man > "$program.1"
        [[ "$(head -n 1 "$program.1")" == ".TH "* ]]
        if command -v groff > /dev/null; then
            run -0 groff -Kutf8 -man -Tutf8 -ww "$program.1"
            [[ "$output" != *warning* ]]
            [[ "$output" == *"$program"* ]]
        fi
        if command -v mandoc > /dev/null; then
            mandoc -W warning "$program.1"
        fi
    done
}

@test "every completion is sound bash" {
    for program in "${programs[@]}"; do
        "$program" --completion > completion
        bash -n completion
        grep -q "^complete .* $program\$" completion
    done
}

@test "completion offers option names and choices" {
    noise --completion > completion
    run -0 bash -c '. ./completion; _octpipe_noise noise --se noise; echo "${COMPREPLY[*]}"'
    [ "$output" = "--seed" ]
}

@test "docs/filters.md is what the option tables say (make docs writes it)" {
    octpipe list --markdown > filters.md
    diff "$BATS_TEST_DIRNAME/../../docs/filters.md" filters.md
}

@test "octpipe lists every filter, shows its help and runs it" {
    run -0 octpipe list
    [ "${#lines[@]}" -eq $((${#programs[@]} - 1)) ]
    [[ "$output" == *"noise "* ]]
    [ "$(octpipe help noise)" = "$(noise --help)" ]
    octpipe noise --shape 2,1,3,5 --seed 1 > a.npy
    noise --shape 2,1,3,5 --seed 1 > b.npy
    cmp a.npy b.npy
    for words in "" "no-such-filter" "../bin/noise" "list more" "help" "help no-such-filter"; do
        # shellcheck disable=SC2086 # words are several arguments
        run --separate-stderr octpipe $words
        assert_trouble octpipe
    done
}

@test "a missing required option is named" {
    run --separate-stderr latent-sr < /dev/null
    assert_trouble latent-sr
    [ "$stderr" = "latent-sr: --weights is required; try latent-sr --help" ]
}

@test "values outside their range, or of another type, are refused" {
    run --separate-stderr noise --shape 2,1,3,5 --threads 1025
    assert_trouble noise
    [[ "$stderr" == *"--threads 1025: must be from 0 to 1024"* ]]
    run --separate-stderr noise --shape 2,1,x,5
    assert_trouble noise
    run --separate-stderr noise --shape 4611686018427387904,4611686018427387904
    assert_trouble noise
    [[ "$stderr" == *"absurd shape"* ]]
    run --separate-stderr noise --shape 2,1,3,5 --memory 4Q
    assert_trouble noise
    run --separate-stderr noise --shape 2,1,3,5 -o
    assert_trouble noise
}

@test "--device auto is the CPU and says so" {
    for device in "" "--device auto" "--device cpu"; do
        # shellcheck disable=SC2086
        run --separate-stderr latent-sr -w none.safetensors $device -v < /dev/null
        [[ "${stderr_lines[0]}" == "latent-sr: device: cpu, "* ]]
    done
}

@test "--device cuda without a CUDA device is trouble, cpu is not" {
    if [ -e /dev/nvidiactl ]; then
        skip "this machine has a GPU"
    fi
    for device in cuda cuda:0 cuda:12; do
        run --separate-stderr latent-sr -w none.safetensors --device $device < /dev/null
        assert_trouble latent-sr
        [[ "$stderr" == "latent-sr: no CUDA device: "* ]]
    done
    run --separate-stderr latent-sr -w none.safetensors --device cpu < /dev/null
    assert_trouble latent-sr
    [[ "$stderr" == *none.safetensors* ]]
}

@test "an unknown device is named" {
    for device in gpu cud cuda: cuda:x cuda:1x cuda1 cpu:0 AUTO; do
        run --separate-stderr latent-sr -w none.safetensors --device $device < /dev/null
        assert_trouble latent-sr
        [[ "$stderr" == "latent-sr: --device $device: unknown; devices are auto, cpu, cuda and cuda:N" ]]
    done
}

@test "no tensor is written to a terminal, nor read from one" {
    run script -qec 'noise --shape 2,1,3,5' /dev/null
    [ "$status" -eq 2 ]
    [[ "$output" == "noise: stdout: tensors are not written to a terminal"* ]]
    run script -qec 'tensor-diff - - > out' /dev/null < /dev/null
    [ "$status" -eq 2 ]
    run script -qec 'noise --shape 2,1,3,5 -o z.npy' /dev/null
    [ "$status" -eq 0 ]
    [ -s z.npy ]
}

@test "a full disk is trouble, for stdout and for -o" {
    [ -c /dev/full ] || skip "no /dev/full"
    run --separate-stderr bash -c '"$@" > /dev/full' - "${big[@]}"
    assert_trouble noise
    [[ "$stderr" == *"No space left on device"* ]]
    run --separate-stderr "${big[@]}" -o /dev/full
    assert_trouble noise
    run --separate-stderr bash -c 'noise --shape 1,1,1,1 > /dev/full'
    assert_trouble noise
    noise --shape 1,1,1,1 > z.npy
    run --separate-stderr bash -c 'tensor-info z.npy > /dev/full'
    assert_trouble tensor-info
    run --separate-stderr bash -c 'tensor-info --help > /dev/full'
    assert_trouble tensor-info
}

@test "a closed stdout is trouble" {
    run --separate-stderr bash -c 'noise --shape 1,1,1,1 >&-'
    [ "$status" -eq 2 ]
    [[ "$stderr" == "noise: "* ]]
}

@test "a folder that cannot be written, or is missing, is trouble" {
    mkdir here
    for path in missing/z.npy /proc/z.npy here ""; do
        run --separate-stderr noise --shape 1,1,1,1 -o "$path"
        assert_trouble noise
        [[ "$stderr" == *"$path"* ]]
    done
    assert_empty_folder here
}

@test "a failure leaves the file of that name as it was, and no other" {
    mkdir here
    echo before > here/z.npy
    "${big[@]}" > big.npy
    cp big.npy changed.npy
    printf 'x' | dd of=changed.npy bs=1 seek=9000000 conv=notrunc status=none
    for damage in "head -c 5000000 big.npy" "cat changed.npy" "cat big.npy big.npy | head -c -9"; do
        bash -c "$damage" > broken.npy
        run --separate-stderr tensor-cat broken.npy -o here/z.npy
        assert_trouble tensor-cat
        [[ "$stderr" == *broken.npy* ]]
        [ "$(cat here/z.npy)" = before ]
        [ "$(ls -A here)" = z.npy ]
    done
}

@test "a closed pipe ends a filter by SIGPIPE, without a word" {
    run --separate-stderr bash -c '"$@" | head -c 100 > /dev/null; echo "${PIPESTATUS[0]}"' \
        - "${big[@]}"
    [ "$output" = 141 ]
    [ -z "$stderr" ]
}

@test "SIGINT and SIGTERM stop a filter within a second and leave no file" {
    slow_diffusion
    for signal in INT TERM; do
        assert_stops "$signal" noise --shape 100000,4,256,256
        assert_stops "$signal" "${slow[@]}"
    done
}

@test "a network notices between its steps that its reader went away" {
    slow_diffusion
    local start=$SECONDS
    run --separate-stderr bash -c '"$@" | sleep 1; echo "${PIPESTATUS[0]}"' - "${slow[@]}"
    [ "$output" = 141 ]
    [ -z "$stderr" ]
    [ $((SECONDS - start)) -le 10 ]
}

@test "a signal that the caller ignores stays ignored" {
    run --separate-stderr bash -c \
        'trap "" INT; noise --shape 512,4,64,64 -o z.npy & sleep 0.1; kill -INT $!; wait $!'
    [ "$status" -eq 0 ]
    [ -s z.npy ]
}

@test "OpenMP threads wait passively, and a policy that is set is kept" {
    run -0 env -u OMP_WAIT_POLICY OMP_DISPLAY_ENV=true bash -c 'noise --shape 1,1,1,1 2>&1 >z.npy'
    [[ "$output" == *"OMP_WAIT_POLICY = 'PASSIVE'"* ]]
    run -0 env OMP_WAIT_POLICY=active OMP_DISPLAY_ENV=true bash -c \
        'noise --shape 1,1,1,1 2>&1 >z.npy'
    [[ "$output" == *"OMP_WAIT_POLICY = 'ACTIVE'"* ]]
    [[ "$output" != *PASSIVE* ]]
}

@test "- is stdin, and a file is the same as stdin" {
    noise --shape 2,3,5,7 --seed 3 > z.npy
    tensor-info z.npy > expected
    tensor-info < z.npy > stdin
    tensor-info - < z.npy > dash
    cat z.npy | tensor-info > pipe
    noise --shape 2,3,5,7 --seed 3 -o - | tensor-info > dash-output
    # What differs is the input's name, where it is said.
    for other in stdin dash pipe dash-output; do
        diff <(sed 's/^z.npy: *//' expected) <(sed 's/^\(stdin\|-\): *//' "$other")
    done
    run -0 tensor-diff z.npy - < z.npy
}

@test "an output file appears whole under its name, and may replace the input" {
    noise --shape 2,3,5,7 --seed 3 > z.npy
    cp z.npy first.npy
    tensor-cat z.npy -o z.npy
    tensor-diff z.npy first.npy
    [ "$(ls -A)" = $'first.npy\nz.npy' ]
    mkfifo pipe
    cat pipe > through.npy &
    noise --shape 2,3,5,7 --seed 3 -o pipe
    wait $!
    [ -p pipe ]
    cmp through.npy first.npy
}
