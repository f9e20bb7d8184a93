#!/bin/sh
# Builds the server for a board with a Cortex-M3, says how much of its memory it takes, and runs it
# in QEMU on a TAP device, in the network namespace that this is started in.
set -eu
cd "$(dirname "$0")/.."
. scripts/thumb.sh

tap=tap0
board=lm3s6965
kind=
features=

usage() {
    cat <<TEXT
usage: run-qemu.sh [options]
  --tap NAME    the device (tap0), made with scripts/setup-tap.sh
  --board NAME  the board (lm3s6965), or mps2-an385
  --defmt       log lines are frames of defmt
  --build       builds, says the sizes, and runs nothing
  --built       builds nothing, and runs what was built last
  --missing     only prints the packages that are missing
  --help        this text
TEXT
}

fail() {
    echo "run-qemu.sh: $*" >&2
    exit 1
}

# Prints the packages that are missing. Debian has a toolchain, too; its libraries are to be built.
missing() {
    command -v readelf >/dev/null || echo binutils
    [ "$run" = no ] || command -v qemu-system-arm >/dev/null || echo qemu-system-arm
    [ "$build" = no ] || has_target || {
        command -v ld.lld >/dev/null || echo lld
        for package in rustc-web cargo-web rust-web-src; do
            dpkg -s $package 2>/dev/null | grep -q '^Status: install ok installed' || echo $package
        done
    }
}

install_missing() {
    packages=$(missing | xargs)
    [ -n "$packages" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        if [ "$build" = yes ] && command -v rustup >/dev/null && ! has_target; then
            echo "run-qemu.sh: no toolchain of Debian's is needed after: rustup target add $thumb" >&2
        fi
        fail "some packages are missing: sudo apt-get install $packages"
    fi
    echo "installing $packages"
    apt-get update -q >/dev/null || true
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages \
        >/dev/null || fail "cannot install $packages"
}

check_device() {
    ip link show dev "$tap" >/dev/null 2>&1 \
        || fail "there is no $tap here: make it with scripts/setup-tap.sh"
    { [ -r /dev/net/tun ] && [ -w /dev/net/tun ]; } \
        || fail "you may not open /dev/net/tun: take --build, and then --built with sudo"
}

# In its own directory, where its settings are found.
build() (
    cd "examples/$board"
    # shellcheck disable=SC2086
    cargo_for_thumb build --release --target-dir "../../$place" $features
)

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

build=yes
run=yes
while [ $# -gt 0 ]; do
    case $1 in
        --tap)
            [ $# -ge 2 ] || fail "--tap needs a value"
            tap=$2
            shift
            ;;
        --board)
            [ $# -ge 2 ] || fail "--board needs a value"
            board=$2
            shift
            ;;
        --defmt)
            features="--no-default-features --features defmt"
            kind=-defmt
            ;;
        --build) run=no ;;
        --built) build=no ;;
        --missing) missing; exit 0 ;;
        --help) usage; exit 0 ;;
        *) fail "unknown option $1; see --help" ;;
    esac
    shift
done

# What QEMU calls it, and what its memory.x says.
case $board in
    lm3s6965)
        machine=lm3s6965evb
        ram=$((64 * 1024))
        flash=$((256 * 1024))
        ;;
    mps2-an385)
        machine=mps2-an385
        ram=$((4 * 1024 * 1024))
        flash=$((4 * 1024 * 1024))
        ;;
    *) fail "unknown board $board; see --help" ;;
esac
place=target/$board$kind

[ "$run" = no ] || check_device
install_missing
[ "$build" = no ] || build
elf=$place/$thumb/release/$board
[ -e "$elf" ] || fail "there is no $elf; build it with --build"
sizes "$elf"
[ "$run" = yes ] || exit 0

exec qemu-system-arm -M "$machine" -kernel "$elf" -nographic \
    -nic "tap,ifname=$tap,script=no,downscript=no"
