#!/bin/sh
# Builds the server for a Cortex-M3 with 64 KiB of RAM, says how much of it it takes, and runs it in
# QEMU on a TAP device, in the network namespace that this is started in.
set -eu
cd "$(dirname "$0")/.."

tap=tap0
ram=$((64 * 1024))
flash=$((256 * 1024))
elf=$PWD/target/lm3s6965/thumbv7m-none-eabi/release/lm3s6965

usage() {
    cat <<TEXT
usage: run-qemu.sh [options]
  --tap NAME   the device (tap0), made with scripts/setup-tap.sh
  --defmt      log lines are frames of defmt
  --build      builds, says the sizes, and runs nothing
  --help       this text
TEXT
}

fail() {
    echo "run-qemu.sh: $*" >&2
    exit 1
}

# The sum of what has to be loaded below 0x20000000, where RAM begins, and of what RAM is for.
sizes() {
    in_flash=0
    in_ram=0
    # Type, offset, virtual and physical address, size in the file and in memory.
    loaded=$(readelf -lW "$1" | awk '$1 == "LOAD" { print $3, $5, $6 }')
    while read -r address in_file in_memory; do
        in_flash=$((in_flash + in_file))
        [ $((address)) -lt $((0x20000000)) ] || in_ram=$((in_ram + in_memory))
    done <<LIST
$loaded
LIST
    echo "RAM: $in_ram of $ram bytes, with the stack; flash: $in_flash of $flash bytes"
}

run=yes
features=
while [ $# -gt 0 ]; do
    case $1 in
        --tap)
            [ $# -ge 2 ] || fail "--tap needs a value"
            tap=$2
            shift
            ;;
        --defmt) features="--no-default-features --features defmt" ;;
        --build) run=no ;;
        --help) usage; exit 0 ;;
        *) fail "unknown option $1; see --help" ;;
    esac
    shift
done

command -v readelf >/dev/null || fail "readelf is missing; install binutils"
# Its settings are found from there.
# shellcheck disable=SC2086
(cd examples/lm3s6965 && cargo build --release $features)
sizes "$elf"
[ "$run" = yes ] || exit 0

command -v qemu-system-arm >/dev/null || fail "QEMU is missing; install qemu-system-arm"
ip link show dev "$tap" >/dev/null 2>&1 || fail "there is no $tap here: make it with scripts/setup-tap.sh"
exec qemu-system-arm -M lm3s6965evb -kernel "$elf" -nographic \
    -nic "tap,ifname=$tap,script=no,downscript=no"
