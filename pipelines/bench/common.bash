# What the benchmarks share.

# use_weights FOLDER: WEIGHTS names a folder with weights of every part of the cascade; where it is
# empty, fresh ones of the paper's sizes (4.9 GB) are made in FOLDER.
use_weights() {
    local part
    if [ -n "${WEIGHTS:-}" ]; then
        WEIGHTS=$(realpath "$WEIGHTS")
        return
    fi
    WEIGHTS=$1
    for part in nhae ldm3d refiner multislice; do
        init-weights "$part" -o "$WEIGHTS/$part.safetensors"
    done
}

# seconds COMMAND...: how long it takes.
seconds() {
    local start=$EPOCHREALTIME
    "$@" || return
    calculate "$EPOCHREALTIME - $start"
}

# calculate EXPRESSION [FORMAT]: arithmetic of awk.
calculate() {
    awk "BEGIN { printf \"${2:-%.3f}\", $1 }"
}
