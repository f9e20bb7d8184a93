"""8. A path that loses, doubles and reorders frames: everything arrives whole, and in time.

    client -- eth0 [ forwarder ] path0 -- switch -- tap0 -- server"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from forwarder import open_tap
from lab import HOST, HOST6, MIB, PASSWORD, SERVER, SERVER6, USER, Failure, check
from network import Host, Server, end
from topology import Case, Topology, echo
from wire import Control, drain

SEED = 69


class Place(NamedTuple):
    client: Host
    server: Server
    forwarder: subprocess.Popen


def set_up(bad):
    def build(network):
        client, switch = network.host("client"), network.bridge("switch")
        client.tap("eth0")
        client.address("eth0", HOST + "/24", HOST6 + "/64")
        switch.tap("path0")
        switch.tap("tap0")
        forwarder = start_forwarder(client, switch, bad.percent)
        switch.capture("tap0")
        server = Server(switch, "--address", SERVER + "/24", "--address", SERVER6 + "/64")
        server.wait(client, SERVER, SERVER6)
        server.settle(client, "eth0")
        return Place(client, server, forwarder)
    return build


def start_forwarder(client, switch, percent):
    ends = []
    for host, device in ((client, "eth0"), (switch, "path0")):
        with host.inside():
            ends.append(open_tap(device))
    try:
        return switch.start(sys.executable, "-B", Path(__file__).with_name("forwarder.py"), *ends,
                            percent, SEED, pass_fds=ends, stdout=subprocess.PIPE, text=True)
    finally:
        for descriptor in ends:
            os.close(descriptor)


# A transfer is timed with its dialogue, and brings what is there in the end.

def download(place, address, content):
    (place.server.root / "there.bin").write_bytes(content)
    with Patient(address) as control:
        begin = time.monotonic()
        return control.fetch("there.bin"), time.monotonic() - begin


def upload(place, address, content):
    with Patient(address) as control:
        begin = time.monotonic()
        control.store("there.bin", content)
        seconds = time.monotonic() - begin
    return (place.server.root / "there.bin").read_bytes(), seconds


class Patient(Control):
    """Waits longer for a reply: retransmissions come after 1, 2, 4 and 8 seconds."""

    def __init__(self, address):
        super().__init__(user=None, address=address)
        self.socket.settimeout(30)
        self.want(220)
        self.ask(f"USER {USER}", 331)
        self.ask(f"PASS {PASSWORD}", 230)
        self.ask("TYPE I", 200)


def again(tries, action, *arguments):
    """A segment may be lost so often that it is sent again later than a client waits: the client
    tries again then. One try of five does, at 20 %."""
    for left in reversed(range(tries)):
        try:
            return action(*arguments)
        except (Failure, OSError):
            if not left:
                raise


def measured(transfer, bad):
    """Over both families, each with the given number of bytes; at what rate in all."""
    def play(place):
        total, size = 0, bad.sizes[transfer]
        with place.client.inside():
            for address in (SERVER, SERVER6):
                content = os.urandom(size)
                there, seconds = again(bad.tries, transfer, place, address, content)
                check(there == content, f"{len(there)} bytes of {size} arrived, or others")
                total += seconds
        rate, floor = 2 * size / total / 1000, bad.floors[transfer]
        check(rate >= floor, f"{rate:,.1f} kB/s, and the floor is {floor:,} kB/s")
        return f"{rate:,.1f} kB/s"
    return play


def listing(bad):
    names = {f"file {number} with a long name.bin" for number in range(bad.sizes[listing])}

    def play(place):
        for name in names:
            (place.server.root / name).touch()
        with place.client.inside():
            found = again(bad.tries, listed)
        check(found >= names, f"{len(found)} of {len(names)} names came")
    return play


def listed():
    with Patient(SERVER6) as control:
        data = control.passive()
        control.ask("NLST", 150)
        names = drain(data).decode().split("\r\n")
        control.want(226)
        return set(names)


def echoed(bad):
    def play(place):
        again(bad.tries, echo, place.server.network, place.client, SERVER, bad.sizes[echo])
    return play


def as_bad_as_said(bad):
    """The path did lose, double and delay as many frames as it should have."""
    def play(place):
        end(place.forwarder)
        words = place.forwarder.stdout.read()
        directions = [list(map(int, re.findall(r"\d+", line))) for line in words.splitlines()]
        check(len(directions) == 2, f"the forwarder says {words!r}")
        for frames, *rest in directions:
            for count in rest:
                found = 100 * count / frames
                check(bad.percent / 2 <= found <= bad.percent * 2, f"{found:.1f} %: {words}")
        return ", ".join(f"{frames:,} frames" for frames, *_ in directions)
    return play


class Bad(NamedTuple):
    """A path on which so many percent of the frames are lost, as many doubled, as many delayed."""
    percent: int
    sizes: dict  # bytes, and names of the listing
    floors: dict  # kB/s
    tries: int = 1


# The floors are at most a third of the median of 13 runs on two shared cores, and half of the least: a
# handshake that loses a frame takes a second more. On the path without faults, it is that of 20,000
# frames a second: the forwarder is not what makes the others slow.
PATHS = [
    Bad(0, {listing: 500, download: 32 * MIB, upload: 32 * MIB, echo: 4 * MIB},
        {download: 30_000, upload: 30_000}),
    Bad(1, {listing: 500, download: 2 * MIB, upload: 16 * MIB, echo: MIB // 4},
        {download: 80, upload: 5000}),
    Bad(5, {listing: 100, download: MIB // 8, upload: 16 * MIB, echo: MIB // 16},
        {download: 8, upload: 800}),
    Bad(20, {listing: 20, download: 16 << 10, upload: 128 << 10, echo: 4 << 10},
        {download: 0.8, upload: 15}, tries=6),
]
TOPOLOGIES = [
    Topology(f"{bad.percent} % bad", set_up(bad), [
        Case("listing", listing(bad), 100),
        Case("download", measured(download, bad), 100),
        Case("upload", measured(upload, bad), 100),
        Case("echo", echoed(bad), 150),
        Case("the path was as bad as that", as_bad_as_said(bad)),
    ])
    for bad in PATHS
]
