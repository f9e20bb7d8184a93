"""10. What is left to the kernel is right on a wire: single frames, with whole checksums.

    client --- eth0 [ switch ] tap0 --- server         client --- [ router ] --- [ switch ] tap0

The client's device does all by itself, and that is where frames are captured."""

import re
import time
from typing import NamedTuple

from captures import Capture
from lab import HOST, HOST6, MIB, SERVER, SERVER6, check
from network import Bridge, Host, Server
from topology import Case, Topology, echo, transfer

FAR, FAR6 = "10.9.0.2", "fd00:9::2"
ROUTER, ROUTER6 = "10.9.0.1", "fd00:9::1"  # as the client sees it
SIZE = 4 * MIB
HEADERS = {"ip": 40, "ipv6": 60}  # bytes of those of IP and TCP
# Nothing of this has a reason on a link that loses nothing.
STALLS = " || ".join(f"tcp.analysis.{what}" for what in (
    "retransmission", "fast_retransmission", "spurious_retransmission", "duplicate_ack",
    "lost_segment", "out_of_order", "zero_window"))


class Place(NamedTuple):
    switch: Bridge
    client: Host
    server: Server
    wire: Capture
    mtu: int  # of the path


def set_mtu(mtu, *ends):
    for host, device in ends:
        host.ip("link", "set", "dev", device, "mtu", str(mtu))


def bridged(mtu):
    def set_up(network):
        switch, client = Bridge(network, "switch", mtu=mtu), network.host("client")
        switch.tap(mtu=mtu)
        switch.plug(client, "eth0", HOST + "/24", HOST6 + "/64")
        set_mtu(mtu, (switch, "port1"), (client, "eth0"))
        return serve(network, switch, client, mtu)
    return set_up


def routed(mtu, mtu_of_server):
    """A router, with the client's network on the other side."""
    def set_up(network):
        switch = Bridge(network, "switch", mtu=mtu_of_server)
        router, client = network.router("router"), network.host("client")
        switch.tap(mtu=mtu_of_server)
        switch.plug(router, "lan", HOST + "/24", HOST6 + "/64")
        set_mtu(mtu_of_server, (switch, "port1"), (router, "lan"))
        network.link(router, "wan", client, "eth0")
        set_mtu(mtu, (router, "wan"), (client, "eth0"))
        router.address("wan", ROUTER + "/24", ROUTER6 + "/64")
        client.address("eth0", FAR + "/24", FAR6 + "/64")
        client.route("default", ROUTER)
        client.route("default", ROUTER6)
        return serve(network, switch, client, mtu, "--gateway", HOST, "--gateway", HOST6)
    return set_up


def serve(network, switch, client, mtu, *options):
    # Of a download, all that is not read yet has room there.
    client.set("ipv4/tcp_rmem", f"4096 {8 * SIZE} {8 * SIZE}")
    wire = client.capture("eth0")
    server = Server(switch, "--address", SERVER + "/24", "--address", SERVER6 + "/64", *options)
    server.wait(client, SERVER, SERVER6)
    return Place(switch, client, server, wire, mtu)


def as_wanted(place):
    """The device does what the server has asked for, which is all of it if it is not told."""
    features = place.switch.run("ethtool", "-k", "tap0")
    wanted = place.server.network.offload or "on"
    for feature in ("tx-checksumming", "tx-tcp-segmentation", "tx-tcp6-segmentation"):
        found = re.search(rf"{feature}: (\w+)", features)[1]
        check(found == wanted, f"{feature} is {found}")


def both_ways(client, address, mode):
    """Byte for byte; and the frames were as long as they may be."""
    def play(place):
        begin = time.time()
        transfer(place.server, place.client, client, address, mode, SIZE)
        family = "ipv6" if ":" in address else "ip"
        for side in ("src", "dst"):
            frames = place.wire.fields(f"{family}.{side} == {address} && tcp.len > 0", "frame.len",
                                       since=begin)
            largest = max(int(size) for size, in frames)
            check(largest == place.mtu + 14, f"{side} {address}: {largest} bytes")
            check(len(frames) * (place.mtu - HEADERS[family]) >= SIZE, f"{len(frames)} frames")
    return play


def echoed(address):
    return lambda place: echo(place.server.network, place.client, address)


def without_a_stall(address):
    """A download, with nobody in its way: nothing is sent twice, and nobody waits."""
    def play(place):
        large, begin = place.server.root / "large.bin", time.time()
        large.write_bytes(bytes(4 * SIZE))
        with place.client.inside():
            host = f"[{address}]" if ":" in address else address
            place.client.run("curl", "-sS", "-o", "/dev/null", f"ftp://anna:secret@{host}/large.bin")
        large.unlink()
        family = "ipv6" if ":" in address else "ip"
        frames = place.wire.fields(f"{family}.src == {address} && tcp.len > 0", "tcp.len",
                                   since=begin)
        check(sum(int(size) for size, in frames) >= 4 * SIZE, "not all of it was captured")
        stalls = place.wire.fields(STALLS, "frame.number", "_ws.col.Info", since=begin)
        check(not stalls, f"{len(stalls)} frames of {len(frames)}, such as {stalls[:3]}")
        return f"{len(frames):,} frames"
    return play


def cases(modes, modes6):
    return [
        Case("the device does as it is told", as_wanted),
        *(Case(f"curl, {mode}, {SIZE // MIB} MiB both ways over IPv4",
               both_ways("curl", SERVER, mode)) for mode in modes),
        *(Case(f"curl, {mode}, {SIZE // MIB} MiB both ways over IPv6",
               both_ways("curl", SERVER6, mode)) for mode in modes6),
        Case(f"lftp, pasv, {SIZE // MIB} MiB both ways over IPv4", both_ways("lftp", SERVER, "pasv")),
        Case("echo over IPv4", echoed(SERVER)),
        Case("echo over IPv6", echoed(SERVER6)),
        Case("a download over IPv4 does not stall", without_a_stall(SERVER)),
        Case("a download over IPv6 does not stall", without_a_stall(SERVER6)),
    ]


TOPOLOGIES = [
    *(Topology(f"offload {mtu}", bridged(mtu), cases(("pasv", "port"), ("epsv", "eprt")))
      for mtu in (1500, 9000)),
    Topology("offload routed", routed(1500, 1500), cases(("pasv", "port"), ("epsv", "eprt"))),
    Topology("offload narrowed", routed(1500, 9000), cases(("pasv",), ("epsv",))),
]
