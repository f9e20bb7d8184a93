#!/bin/bash
# The tests: Rust's own, then real clients against the release binary on a TAP device.
# Arguments go to the client matrix: scripts/test.sh curl
set -euo pipefail
cd "$(dirname "$0")/.."

# command:package
needs=(
    curl:curl wget:wget lftp:lftp tnftp:tnftp inetutils-ftp:inetutils-ftp ncftp:ncftp
    ncftpget:ncftp nc:netcat-openbsd ping:iputils-ping ip:iproute2 tcpdump:tcpdump
    python3:python3 unshare:util-linux setpriv:util-linux
)

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Prints the packages of the commands that are not there.
missing() {
    local need
    for need in "${needs[@]}"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${need%%:*}" >/dev/null || echo "${need#*:}"
    done | sort -u
}

install_missing() {
    local packages
    mapfile -t packages < <(missing)
    [ ${#packages[@]} -gt 0 ] || return 0
    echo "installing ${packages[*]}"
    as_root apt-get update -q >/dev/null || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
        "${packages[@]}" >/dev/null || true
    mapfile -t packages < <(missing)
    [ ${#packages[@]} -eq 0 ] || {
        echo "test.sh: cannot install ${packages[*]}, which the client tests need" >&2
        exit 1
    }
}

install_missing
cargo build --release
cargo test
cargo test --no-default-features
cargo test --no-default-features --features net
# Debian's Python: another one in the path may come without its usual modules.
as_root /usr/bin/python3 tests/clients/run.py "$@"
