#!/bin/bash
# The tests: Rust's own, then real clients against the release binary on a TAP device, then networks
# of all kinds. Arguments go to the client matrix, and nothing comes after it: scripts/test.sh curl
set -euo pipefail
cd "$(dirname "$0")/.."

# command:package
needs=(
    curl:curl wget:wget lftp:lftp tnftp:tnftp inetutils-ftp:inetutils-ftp ncftp:ncftp
    ncftpget:ncftp nc:netcat-openbsd ping:iputils-ping ip:iproute2 tcpdump:tcpdump
    python3:python3 unshare:util-linux setpriv:util-linux aria2c:aria2 rclone:rclone
    busybox:busybox mkfs.ext4:e2fsprogs fsfreeze:util-linux nmap:nmap node:nodejs npm:npm
    ethtool:ethtool nft:nftables tshark:tshark
    dnsmasq:dnsmasq-base dbus-daemon:dbus-daemon arping:iputils-arping
    llvm-symbolizer:llvm
)
# What no package has comes from PyPI and npm, to a place that all clones share.
fetched=target/clients
shared=${XDG_CACHE_HOME:-$HOME/.cache}/tinyftp-clients
aioftp=0.28.3
zeroconf=0.154.0
basic_ftp=6.2.3
# Packages that would start daemons on this machine are unpacked there, and not installed.
unpacked=(
    radvd avahi-daemon avahi-utils libnss-mdns libavahi-client3 libavahi-common3 libavahi-core7
    libdaemon0 libgdbm6
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
    scripts/run-qemu.sh --missing
    /usr/bin/python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
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

cannot_fetch() {
    echo "test.sh: cannot fetch $1, which the client tests need" >&2
    exit 1
}

# Debian's Python: another one in the path may come without its usual modules.
fetch_clients() {
    local python=$fetched/venv/bin/python
    [ -e "$python" ] || /usr/bin/python3 -m venv $fetched/venv || cannot_fetch "a venv"
    fetch_module aioftp $aioftp || cannot_fetch "aioftp $aioftp"
    fetch_module zeroconf $zeroconf ||
        echo "test.sh: cannot fetch zeroconf $zeroconf: its cases will be SKIPPED" >&2
    if ! grep -qs "\"version\": \"$basic_ftp\"" $fetched/npm/node_modules/basic-ftp/package.json
    then
        echo "fetching basic-ftp $basic_ftp"
        mkdir -p $fetched/npm
        timeout 120 npm install --prefix $fetched/npm --no-audit --no-fund --ignore-scripts \
            --loglevel error "basic-ftp@$basic_ftp" >/dev/null ||
            cannot_fetch "basic-ftp $basic_ftp"
    fi
}

# fetch_module NAME VERSION, from PyPI
fetch_module() {
    [ "$("$python" -c "from importlib.metadata import version
print(version('$1'))" 2>/dev/null)" != "$2" ] || return 0
    echo "fetching $1 $2"
    timeout 120 "$python" -m pip install -q --disable-pip-version-check "$1==$2"
}

unpack_daemons() {
    local place=$fetched/unpacked
    [ ! -e $place/complete ] || return 0
    echo "unpacking ${unpacked[*]}"
    as_root apt-get update -q >/dev/null || true
    rm -rf $place
    mkdir -p $place
    (
        cd $place
        timeout 120 apt-get download -q -o APT::Sandbox::User=root "${unpacked[@]}" >/dev/null &&
            for package in *.deb; do dpkg-deb -x "$package" . || exit; done &&
            rm ./*.deb && touch complete
    ) || cannot_fetch "${unpacked[*]}"
}

share_fetched() {
    [ ! -e $fetched ] || return 0
    mkdir -p target "$shared"
    ln -sfn "$shared" $fetched
}

install_missing
share_fetched
fetch_clients
unpack_daemons
cargo build --release
cargo build --examples
cargo test
cargo test --no-default-features --features hash
cargo test --no-default-features --features ipv4,ipv6
# Nothing is counted: only whether it works.
cargo test --bench cost
# Each first as on a wire, and then with what the kernel can do for us.
as_root /usr/bin/python3 tests/clients/run.py --offload off "$@"
as_root /usr/bin/python3 tests/clients/run.py "$@"
[ $# -eq 0 ] || exit 0
as_root /usr/bin/python3 tests/topologies/run.py --offload off offload
as_root /usr/bin/python3 tests/topologies/run.py
scripts/run-qemu.sh --build
scripts/run-qemu.sh --build --defmt
scripts/run-qemu.sh --build --board mps2-an385
as_root /usr/bin/python3 tests/qemu/run.py
