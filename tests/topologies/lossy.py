"""8. A path that loses, doubles and reorders frames: everything arrives whole, and in time.

    client -- eth0 [ forwarder ] path0 -- switch -- tap0 -- server"""

import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from forwarder import open_tap
from lab import HOST, HOST6, MIB, SERVER, SERVER6, Failure, check, digest
from network import Host, Server, end
from topology import Case, Topology, echo, transfers
from wire import anna, drain

SEED = 69


class Place(NamedTuple):
    client: Host
    server: Server
    forwarder: subprocess.Popen


def path_with(percent):
    def set_up(network):
        client, switch = network.host("client"), network.bridge("switch")
        client.tap("eth0")
        client.address("eth0", HOST + "/24", HOST6 + "/64")
        switch.tap("path0")
        switch.tap("tap0")
        forwarder = start_forwarder(client, switch, percent)
        switch.capture("tap0")
        server = Server(switch, "--address", SERVER + "/24", "--address", SERVER6 + "/64")
        server.wait(client, SERVER, SERVER6)
        return Place(client, server, forwarder)
    return set_up


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


def rate(size, seconds):
    return size / seconds / 1000


def download(place, address, content):
    (place.server.root / "there.bin").write_bytes(content)
    with place.client.inside(), anna(address=address) as control:
        control.socket.settimeout(20)
        begin = time.monotonic()
        check(control.fetch("there.bin") == content, "something else came")
        return time.monotonic() - begin


def upload(place, address, content):
    with place.client.inside(), anna(address=address) as control:
        control.socket.settimeout(20)
        begin = time.monotonic()
        control.store("there.bin", content)
        seconds = time.monotonic() - begin
    check((place.server.root / "there.bin").read_bytes() == content, "the server has something else")
    return seconds


def measured(transfer, address, size, floor):
    """A transfer, with the dialogue for it, and at what rate."""
    def play(place):
        found = rate(size, transfer(place, address, os.urandom(size)))
        check(found >= floor, f"{found:,.0f} kB/s, and the floor is {floor:,} kB/s")
        return f"{found:,.0f} kB/s"
    return play


def listing(place):
    """Of 500 names, over both families."""
    names = {f"file {number} with a long name.bin" for number in range(500)}
    for name in names:
        (place.server.root / name).touch()
    with place.client.inside():
        for address in (SERVER, SERVER6):
            with anna(address=address) as control:
                data = control.passive()
                control.ask("NLST", 150)
                found = set(drain(data).decode().split("\r\n")[:-1])
                control.want(226)
                check(found >= names, f"{len(found)} names came")


def as_bad_as_said(percent):
    """The path did lose, double and delay as many frames as it should have."""
    def play(place):
        end(place.forwarder)
        words = place.forwarder.stdout.read()
        directions = [list(map(int, re.findall(r"\d+", line))) for line in words.splitlines()]
        check(len(directions) == 2, f"the forwarder says {words!r}")
        for frames, *rest in directions:
            for count in rest:
                found = 100 * count / frames
                check(percent / 2 <= found <= percent * 2, f"{found:.1f} %: {words}")
        return ", ".join(f"{frames:,} frames" for frames, *_ in directions)
    return play


def cases(percent, size, floors):
    down, up = floors
    echoed = min(size, MIB)
    yield Case(f"{percent} %: listing", listing)
    for name, address in (("IPv4", SERVER), ("IPv6", SERVER6)):
        yield Case(f"{percent} %: download over {name}", measured(download, address, size, down))
        yield Case(f"{percent} %: upload over {name}", measured(upload, address, size, up))
    yield Case(f"{percent} %: echo",
               lambda place: echo(place.server.network, place.client, SERVER, echoed))
    yield Case(f"{percent} %: as bad as that", as_bad_as_said(percent))


# Percent: bytes of a transfer, and floors of the rates in kB/s, down and up.
PATHS = {
    1: (4 * MIB, (0, 0)),
    5: (MIB, (0, 0)),
    20: (64 << 10, (0, 0)),
}
TOPOLOGIES = [Topology(f"bad path {percent}", path_with(percent), list(cases(percent, *row)))
              for percent, row in PATHS.items()]
