# What the benchmarks share.

# use_weights FOLDER: WEIGHTS names a folder with weights of every part of the cascade; where it is
# empty, fresh ones of the paper's sizes (4.9 GB) are made in FOLDER, those that are not there yet.
use_weights() {
    local part
    if [ -n "${WEIGHTS:-}" ]; then
        WEIGHTS=$(realpath "$WEIGHTS")
        return
    fi
    WEIGHTS=$1
    for part in nhae ldm3d refiner multislice; do
        [ -e "$WEIGHTS/$part.safetensors" ] \
            || init-weights "$part" -o "$WEIGHTS/$part.safetensors" || return
    done
}

# describe_machine: lines that say what $BENCH runs on, of which commit, and what it can do at most.
describe_machine() {
    echo "date: $(date -u +%F)"
    echo "commit: $(git -C "$here" describe --always --dirty --abbrev=12 2> /dev/null || echo unknown)"
    echo "processor: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)"
    echo "cores: $(nproc)"
    echo "memory: $(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 2^20 }' /proc/meminfo)"
    echo "system: $(. /etc/os-release && echo "$PRETTY_NAME"), $(uname -sr)"
    echo "load average at the start: $(cut -d ' ' -f 1 /proc/loadavg)"
    "$BENCH" machine
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

# bounded SECONDS COMMAND...: end it after so long, and at DEADLINE (seconds since 1970; unset: never).
bounded() {
    local limit=$1
    shift
    if [ -n "${DEADLINE:-}" ] && ((DEADLINE - EPOCHSECONDS < limit)); then
        limit=$((DEADLINE - EPOCHSECONDS))
    fi
    if ((limit <= 0)); then
        return 124
    fi
    timeout --kill-after=10 "$limit" "$@"
}

# failure STATUS FILE: what a cell says of a command that was bounded and failed, and said FILE.
failure() {
    cat "$2" >&2
    case $1 in
    124 | 137) echo "the time was up" ;;
    *) echo "failed ($1): $(tail -n 1 "$2")" ;;
    esac
}
