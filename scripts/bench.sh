#!/bin/bash
# tinyftp and the servers that a user would pick instead, measured in turn on this machine; prints
# the table of the README. It takes about an hour; a few minutes with --quick.
#
#   scripts/bench.sh [--quick] [--verify] [--rounds=N] [--idle=N] [SERVER...]
#
# The servers: tinyftp vsftpd proftpd pure-ftpd pyftpdlib unftp; all of them if none is named.
# --verify measures nothing, but compares what is transferred.
set -euo pipefail
cd "$(dirname "$0")/.."

# Nothing of it is installed on this machine.
fetched=$PWD/target/peers
pyftpdlib=2.2.0
unftp=0.16.0
servers=()
# command:package
needs=(
    curl:curl ip:iproute2 python3:python3 sysctl:procps taskset:util-linux unshare:util-linux
)

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

fail() {
    echo "bench.sh: $*" >&2
    exit 1
}

cannot_fetch() {
    fail "cannot fetch $1; scripts/bench.sh tinyftp pyftpdlib would measure only those"
}

check_programs() {
    local need
    for need in "${needs[@]}"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${need%%:*}" >/dev/null ||
            fail "${need%%:*} is missing; install ${need#*:}"
    done
}

# Whether a server is wanted: all are if none is named.
wanted() {
    [ ${#servers[@]} -eq 0 ] || [[ " ${servers[*]} " = *" $1 "* ]]
}

# fetch_package SERVER PACKAGE: unpacks it, and what of its libraries this machine has not.
fetch_package() {
    wanted "$1" && [ ! -e "$fetched/$1/complete" ] || return 0
    echo "unpacking $2" >&2
    as_root apt-get update -q >/dev/null || true
    rm -rf "${fetched:?}/$1"
    mkdir -p "$fetched/$1"
    (
        cd "$fetched/$1"
        mapfile -t packages < <(
            echo "$2"
            apt-get install --simulate --no-install-recommends "$2" |
                awk -v asked="$2" '$1 == "Inst" && $2 != asked { print $2 }'
        )
        timeout 300 apt-get download -q -o APT::Sandbox::User=root "${packages[@]}" >/dev/null &&
            for package in *.deb; do dpkg-deb -x "$package" . || exit; done &&
            rm ./*.deb && touch complete
    ) || cannot_fetch "$2"
}

# The version of pyftpdlib that there is, if any.
have_pyftpdlib() {
    "$fetched/venv/bin/python" -c 'import pyftpdlib; print(pyftpdlib.__ver__)' 2>/dev/null
}

# From PyPI, with ftpbench, which every server is measured with. Without PyPI, Debian's older one
# has to do if it is installed; the table tells which one it was.
fetch_pyftpdlib() {
    [ -e "$fetched/venv/bin/python" ] ||
        /usr/bin/python3 -m venv --system-site-packages "$fetched/venv" || cannot_fetch "a venv"
    [ "$(have_pyftpdlib)" != $pyftpdlib ] || return 0
    echo "fetching pyftpdlib $pyftpdlib" >&2
    # From Python 3.12 on, asyncore and asynchat are packages, too.
    timeout 120 "$fetched/venv/bin/python" -m pip install -q --disable-pip-version-check \
        "pyftpdlib==$pyftpdlib" pyasyncore pyasynchat && return
    ! wanted pyftpdlib || [ -n "$(have_pyftpdlib)" ] || cannot_fetch "pyftpdlib $pyftpdlib"
    echo "bench.sh: PyPI cannot be reached: nothing is measured with ftpbench," \
        "and pyftpdlib is the $(have_pyftpdlib) of this machine" >&2
}

fetch_unftp() {
    wanted unftp && [ ! -e "$fetched/unftp/bin/unftp" ] || return 0
    echo "building unFTP $unftp" >&2
    cargo install --quiet --locked --root "$fetched/unftp" --version $unftp unftp ||
        cannot_fetch "unFTP $unftp"
}

for word; do
    [[ $word = --* ]] || servers+=("$word")
done
check_programs
mkdir -p "$fetched"
fetch_package vsftpd vsftpd
fetch_package proftpd proftpd-core
fetch_package pure-ftpd pure-ftpd
fetch_pyftpdlib
fetch_unftp
cargo build --quiet --release
cargo build --quiet --release --example kernel_echo
as_root /usr/bin/python3 benches/peers/run.py "$@"
