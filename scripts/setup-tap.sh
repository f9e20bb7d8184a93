#!/bin/sh
# Makes the TAP device that tinyftp serves on, with the host's own address on it.
# Works in the network namespace that it is started in; run twice, it changes nothing.
set -eu

tap=tap0
address=192.168.69.100/24
address6=
user=
mtu=1500
# Frames that wait for the server: those of 10,000 clients who come at once.
queue=10000
delete=no

usage() {
    cat <<TEXT
usage: setup-tap.sh [options]
  --tap NAME           the device (tap0)
  --address ADDR/LEN   the host's IPv4 address on it (192.168.69.100/24)
  --address6 ADDR/LEN  an IPv6 address as well, such as fd00:69::100/64
  --user NAME          the user who may run tinyftp on it without sudo
  --mtu BYTES          1500
  --delete             remove the device
  --help               this text
TEXT
}

fail() {
    echo "setup-tap.sh: $*" >&2
    exit 1
}

fail_usage() {
    echo "setup-tap.sh: $*; see --help" >&2
    exit 2
}

say() {
    changed=yes
    echo "$*"
}

parse() {
    while [ $# -gt 0 ]; do
        case $1 in
            --help) usage; exit 0 ;;
            --delete) delete=yes; shift; continue ;;
            --tap | --address | --address6 | --user | --mtu) ;;
            *) fail_usage "unknown option $1" ;;
        esac
        if [ $# -lt 2 ] || [ -z "$2" ]; then fail_usage "$1 needs a value"; fi
        case $1 in
            --tap) tap=$2 ;;
            --address) address=$2 ;;
            --address6) address6=$2 ;;
            --user) user=$2 ;;
            --mtu) mtu=$2 ;;
        esac
        shift 2
    done
    case $tap in
        -* | */* | *[[:space:]]* | ????????????????*) fail_usage "$tap is no interface name" ;;
    esac
    case $address in
        *.*.*.*/*) ;;
        *) fail_usage "$address is no IPv4 address with a prefix length" ;;
    esac
    case $address6 in
        "" | *:*/*) ;;
        *) fail_usage "$address6 is no IPv6 address with a prefix length" ;;
    esac
    case $mtu in
        *[!0-9]*) fail_usage "$mtu is no number of bytes" ;;
    esac
}

exists() {
    ip link show dev "$tap" >/dev/null 2>&1
}

# From ip and not from /sys, which may show another network namespace.
details() {
    ip -d -o link show dev "$tap"
}

is_tap() {
    case $(details) in
        *" tun type tap "*) true ;;
        *) false ;;
    esac
}

owner() {
    details | sed -n 's/.* user \([^ ]*\) .*/\1/p'
}

make_device() {
    if exists; then
        is_tap || fail "$tap exists and is no TAP device; choose another name with --tap"
        if [ -n "$user" ] && [ "$(owner)" != "$user" ]; then
            fail "$tap exists and does not belong to $user; run with --delete first"
        fi
    elif [ -n "$user" ]; then
        ip tuntap add dev "$tap" mode tap user "$user" || fail "cannot make $tap"
        say "made $tap for $user"
    else
        ip tuntap add dev "$tap" mode tap || fail "cannot make $tap"
        say "made $tap"
    fi
}

# Nothing on this link is a router: no solicitations and no addresses of the kernel's choice.
quieten_ipv6() {
    for key in accept_ra autoconf router_solicitations; do
        file=/proc/sys/net/ipv6/conf/$tap/$key
        if [ -w "$file" ] && [ "$(cat "$file")" != 0 ]; then
            echo 0 2>/dev/null >"$file" || true
        fi
    done
}

set_mtu() {
    case $(details) in
        *" mtu $mtu "*) return ;;
    esac
    ip link set dev "$tap" mtu "$mtu" || fail "cannot set the MTU of $tap to $mtu"
    say "set the MTU of $tap to $mtu"
}

set_queue() {
    case $(details) in
        *" qlen $queue"*) return ;;
    esac
    ip link set dev "$tap" txqueuelen "$queue" || fail "cannot set the queue of $tap to $queue"
    say "set the queue of $tap to $queue frames"
}

# add_address FAMILY ADDRESS [nodad]
add_address() {
    family=$1
    wanted=$2
    shift 2
    if ip -o "$family" addr show dev "$tap" to "${wanted%/*}" | grep -q "/${wanted#*/} "; then
        return
    fi
    ip "$family" addr add "$wanted" dev "$tap" "$@" || fail "cannot give $tap the address $wanted"
    say "gave $tap the address $wanted"
}

bring_up() {
    case $(details) in
        *[\<,]UP[,\>]*) return ;;
    esac
    ip link set dev "$tap" up || fail "cannot bring $tap up"
    say "brought $tap up"
}

may_open_tun() {
    runuser -u "$user" -- test -r /dev/net/tun -a -w /dev/net/tun
}

say_what_next() {
    options=
    [ "$tap" = tap0 ] || options=" --tap $tap"
    if [ -z "$user" ]; then
        echo "next: sudo ./target/release/tinyftp$options"
    elif may_open_tun; then
        echo "next, as $user: ./target/release/tinyftp$options"
    else
        echo "$user may not open /dev/net/tun (sudo chmod 666 /dev/net/tun would allow it)"
        echo "next: sudo ./target/release/tinyftp$options"
    fi
}

parse "$@"
command -v ip >/dev/null || fail "the command ip is missing; install iproute2"
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "run this as root: there is no sudo"
    exec sudo -- "$0" "$@"
fi

changed=no
if [ "$delete" = yes ]; then
    if exists; then
        is_tap || fail "$tap is no TAP device; it is left alone"
        ip link delete dev "$tap" || fail "cannot remove $tap"
        echo "removed $tap"
    else
        echo "there is no $tap; nothing changed"
    fi
    exit 0
fi

[ -c /dev/net/tun ] || fail "/dev/net/tun is missing; try: sudo modprobe tun"
if [ -n "$user" ]; then
    id "$user" >/dev/null 2>&1 || fail "there is no user $user"
fi
make_device
quieten_ipv6
set_mtu
set_queue
add_address -4 "$address"
[ -z "$address6" ] || add_address -6 "$address6" nodad
bring_up
[ "$changed" = yes ] || echo "$tap is set up already; nothing changed"
say_what_next
