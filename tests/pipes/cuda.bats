# The network filters on a CUDA device against themselves on the CPU. Without a device all is
# skipped, and the reason is the one that --device cuda gives.

bats_require_minimum_version 1.5.0
load assert
load small

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_weights
    make_inputs
    cuda_refused=
    if ! encode2d -w nhae.safetensors --device cuda encode2d.npy > /dev/null 2> refused; then
        cuda_refused=$(< refused)
    fi
    export cuda_refused
}

setup() {
    link_files
    if [[ "$cuda_refused" == *": no CUDA device: "* ]]; then
        skip "${cuda_refused#*: }"
    fi
}

# The nearest code of a latent that lies between two may differ: relative L2, not single voxels.
@test "each filter makes the same in fp32 on both devices" {
    for name in "${networks[@]}"; do
        ${command[$name]} --precision fp32 --device cpu "$name.npy" > cpu.npy
        ${command[$name]} --precision fp32 --device cuda "$name.npy" > cuda.npy
        tensor-diff --l2 1e-4 cuda.npy cpu.npy
    done
}

# latent-sr computes in fp32 always; a network's bf16 activations are off by about 1.5e-2.
@test "each filter makes nearly the same in bf16" {
    for name in "${networks[@]}"; do
        ${command[$name]} --precision fp32 --device cpu "$name.npy" > cpu.npy
        ${command[$name]} --precision bf16 --device cuda "$name.npy" > cuda.npy
        tensor-diff --l2 4e-2 cuda.npy cpu.npy
    done
}

@test "the batch does not change the result" {
    ${command[refine-slice]} --device cuda --batch 1 refine-slice.npy > one.npy
    ${command[refine-slice]} --device cuda --batch 9 refine-slice.npy > nine.npy
    tensor-diff one.npy nine.npy
}

@test "cuda says which device it takes" {
    ${command[encode2d]} -v --device cuda encode2d.npy 2> said > /dev/null
    grep -q 'device: cuda, ' said
}

@test "a device that is not there is refused" {
    run --separate-stderr ${command[encode2d]} --device cuda:4096 encode2d.npy
    [ "$status" -eq 2 ]
    [[ "$stderr" == "encode2d: no CUDA device: "* ]]
}

# The device's memory in use, in MiB; nothing where nobody says.
device_memory() {
    nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits 2> /dev/null | head -n 1
}

@test "a signal stops a filter within a second, and nothing is left on the device" {
    mkdir slow
    cd slow
    slow_diffusion
    local before after
    before=$(device_memory)
    for signal in INT TERM; do
        assert_stops "$signal" "${slow[@]}" -n 1000 --device cuda
        for _ in {1..20}; do
            after=$(device_memory)
            if [ "${after:-0}" -le "${before:-0}" ]; then
                continue 2
            fi
            sleep 0.1
        done
        echo "$after MiB are in use, $before were before"
        return 1
    done
}
