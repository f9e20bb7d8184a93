"""The client's side: examples/echo_client on a TAP device of its own calls tinyftp.

    client (tap1) --- switch --- server (tap0), 192.168.77.10 and fd00:77::10
                         |
                       names, 192.168.77.1: DHCP and DNS"""

import os
import subprocess
from typing import NamedTuple

from daemons import Dnsmasq
from lab import REPO, check
from network import Bridge, Host, Server
from topology import Case, Topology

CLIENT = REPO / "target/debug/examples/echo_client"
NAMES, SERVER, SERVER6 = "192.168.77.1", "192.168.77.10", "fd00:77::10"
CLIENT6, NOBODY = "fd00:77::20", "192.168.77.250"
RANGE = ("192.168.77.50", "192.168.77.59")
DYNAMIC_PORTS = range(49152, 65536)  # RFC 6335 6

# box.test has an IPv6 address that there is no way to; of shy.test one address is nobody's.
RECORDS = (f"host-record=box.test,{SERVER},2001:db8::7",
           f"host-record=shy.test,{NOBODY}", f"host-record=shy.test,{SERVER}")


class Place(NamedTuple):
    switch: Bridge
    names: Host
    server: Server


def network_with_names(network):
    switch, names = network.bridge("switch"), network.host("names")
    switch.tap("tap0")
    switch.tap("tap1")
    switch.plug(names, "eth0", f"{NAMES}/24", "fd00:77::1/64")
    Dnsmasq(names, "eth0", records=RECORDS).start(*RANGE)
    switch.capture("tap1")
    server = Server(switch, "--address", f"{SERVER}/24", "--address", f"{SERVER6}/64")
    server.wait(names, SERVER, SERVER6)
    server.settle(names, "eth0")
    return Place(switch, names, server)


def call(place, host, port, *options, said=b"hello\n", fails=False):
    """What the client prints, and what it says beside that."""
    command = [CLIENT, "--tap", "tap1", *(options or ("--address", "dhcp")), host, port]
    with place.switch.inside():
        done = subprocess.run(command, input=said, capture_output=True, timeout=20)
    told = done.stderr.decode()
    check((done.returncode != 0) == fails, f"it ended with status {done.returncode}: {told}")
    return done.stdout, told


def echoes(place, host, *options, port="echo"):
    printed, told = call(place, host, port, *options)
    check(printed == b"hello\n", f"it printed {printed}")
    return told


def by_address(place):
    echoes(place, SERVER, port="7")
    echoes(place, SERVER6, "--address", f"{CLIENT6}/64")
    echoes(place, place.server.link_local)


def by_mdns(place):
    for options in ((), ("--address", f"{CLIENT6}/64"), ("--address", "auto")):
        echoes(place, "tinyftp.local", *options)


def by_dns(place):
    told = echoes(place, "box.test")
    check("[2001:db8::7]:7 cannot be called" in told, f"the first address was not tried: {told}")
    echoes(place, "box.test", "--address", "192.168.77.60/24", "--dns", NAMES)


def until_one_answers(place):
    """The addresses come in any order."""
    options = ("--address", "192.168.77.60/24", "--dns", NAMES)
    told = "".join(echoes(place, "shy.test", *options) for _ in range(3))
    check(f"to {SERVER}:7" in told, told)


def by_service(place):
    greeting, _ = call(place, SERVER, "ftp", said=b"QUIT\r\n")
    check(greeting.startswith(b"220 ") and b"\r\n221 " in greeting, f"FTP says {greeting}")


def a_megabyte(place):
    said = os.urandom(1 << 20)
    printed, _ = call(place, SERVER, "7", said=said)
    check(printed == said, f"{len(printed)} bytes came back, and not the same")


def failures(place):
    for host, port, expected in (
            (SERVER, "99", f"{SERVER}:99 did not accept the connection"),
            (NOBODY, "7", f"{NOBODY}:7 did not accept the connection"),
            ("nobody.test", "7", "nobody.test is not known"),
            ("nobody.local", "7", "nobody.local is not known"),
            ("203.0.113.1", "7", "203.0.113.1:7 cannot be called"),
            (SERVER, "gopherd", "expected a port from 1 to 65535, or a service such as echo"),
            ("a..b", "7", "a..b is no host name"),
    ):
        options = ("--address", "192.168.77.61/24", "--dns", NAMES)
        _, told = call(place, host, port, *options, fails=True)
        check(expected in told, f"{host} {port}: {told}")


def ports(place):
    capture = place.server.network.captures[0]
    syns = "tcp.flags.syn == 1 && tcp.flags.ack == 0"
    seen = {int(port) for port, in capture.fields(syns, "tcp.srcport")}
    check(len(seen) > 5 and all(port in DYNAMIC_PORTS for port in seen), f"ports {sorted(seen)}")


TOPOLOGIES = [
    Topology("caller", network_with_names, [
        Case("by address", by_address),
        Case("by mDNS", by_mdns),
        Case("by DNS", by_dns),
        Case("each address in turn", until_one_answers),
        Case("service by name", by_service),
        Case("a megabyte", a_megabyte),
        Case("what cannot be", failures, 60),
        Case("ports of the dynamic range", ports),
    ]),
]
