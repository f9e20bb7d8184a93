#!/bin/bash
# Everything that needs no network: form, lints, documentation, and the core on a device.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/thumb.sh

# The least that is of use on a board, and all that there may be.
cores=(ipv4 "ipv4,ipv6,dhcp,mdns,hash,log,defmt")
boards=(lm3s6965 mps2-an385)

step() {
    echo
    echo "== $*"
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# install PACKAGE...: those that are not there yet
install() {
    local missing=() package
    for package; do
        dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    echo "installing ${missing[*]}"
    as_root apt-get update -q >/dev/null || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-remove --no-install-recommends \
        "${missing[@]}" >/dev/null
}

# build_core FEATURES. A toolchain that cannot be had from its home comes from Debian, with the
# sources of `core`.
build_core() {
    timeout 120 rustup target add "$thumb" >/dev/null 2>&1 || true
    has_target || install rustc-web cargo-web rust-web-src
    cargo_for_thumb build --no-default-features --features "$1" --target "$thumb" \
        --target-dir target/thumb
}

# check_board BOARD
check_board() {
    local features
    for features in log defmt log,defmt; do
        (cd "examples/$1" && cargo clippy --release --no-default-features \
            --features "$features" -- -D warnings)
    done
    scripts/run-qemu.sh --board "$1" --build
}

# Prints the crates of the core with a feature on that brings an allocator or the standard library.
allocating() {
    awk '/\[(.*,)?(alloc|std)(,.*)?\]/ { print; found = 1 } END { exit !found }' <<<"$1"
}

step "cargo fmt"
cargo fmt --check
cargo fmt --check --manifest-path fuzz/Cargo.toml
for board in "${boards[@]}"; do
    cargo fmt --check --manifest-path "examples/$board/Cargo.toml"
done

for features in "" "--no-default-features" "--no-default-features --features ipv4" \
    "--no-default-features --features ipv4,dhcp" "--no-default-features --features ipv6" \
    "--no-default-features --features mdns" "--no-default-features --features hash" \
    "--no-default-features --features ipv4,ipv6,dhcp,mdns,log"; do
    step "cargo clippy $features"
    # shellcheck disable=SC2086
    cargo clippy --all-targets $features -- -D warnings
done

step "cargo doc"
RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

for features in "${cores[@]}"; do
    step "the core for $thumb: $features"
    build_core "$features"
    crates=$(cargo tree --no-default-features --features "$features" --target "$thumb" \
        --edges normal,no-proc-macro --prefix none --format "{p} [{f}]")
    if allocating "$crates"; then
        echo "check.sh: the crates above have a feature on that needs an allocator" >&2
        exit 1
    fi
    echo "none of its crates asks for an allocator"
done

for board in "${boards[@]}"; do
    step "the microcontroller: whether it fits: $board"
    if has_target; then
        check_board "$board"
    else
        echo "not built: this toolchain has no $thumb"
    fi
done

step "shellcheck"
install shellcheck
shellcheck scripts/*.sh .ci/run
