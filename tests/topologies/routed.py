r"""2. Several networks with routers between them, as in the textbook.

         client   third  far too              far   outside
            \       |       /                   \       /
             +---- one ----+                  +- two -+
                    |                             |
    ----------------+-------+-------------+-------+----- 10.2.0.0/24, fd00:2::/64
                            |             |
                          near          server

Which router the server uses is told by the hardware addresses on its network."""

import time
from typing import NamedTuple

from lab import check
from network import Bridge, Host, Router, Server
from topology import Case, Topology, echo, transfers

SERVER, SERVER6 = "10.2.0.1", "fd00:2::1"
ONE, ONE6 = "10.2.0.251", "fd00:2::251"  # the routers on the server's network
TWO, TWO6 = "10.2.0.252", "fd00:2::252"
CLIENT = ("172.16.1.2", "2001:db8:1::2")
THIRD = ("10.3.0.2", "fd00:3::2")
FAR = ("10.4.0.2", "fd00:4::2")
FAR_TOO = ("10.4.128.2", "fd00:4:0:8000::2")  # in the network that a route to "two" is for
OUTSIDE = ("192.0.2.2", "fd00:5::2")
NEAR = ("10.2.0.2", "fd00:2::2")


class Place(NamedTuple):
    switch: Bridge
    routers: dict
    hosts: dict
    server: Server


def prefix(address):
    return f"{address}/{64 if ':' in address else 24}"


def network_of(address):
    return prefix(address[:-1] + ("" if ":" in address else "0"))


def router_of(address):
    """The host's address ends in 2, the router's in 1."""
    return address[:-1] + "1"


def behind(network, router, device, name, addresses):
    """A host on a network of its own, whose router this is."""
    host = network.host(name)
    network.link(router, device, host, "eth0")
    for address in addresses:
        router.address(device, prefix(router_of(address)))
        host.address("eth0", prefix(address))
        host.route("default", router_of(address))
    return host


def set_up(*options):
    """With these options for the server, beside its addresses."""
    def build(network):
        switch = network.bridge("switch")
        switch.tap()
        one, two = network.router("one"), network.router("two")
        switch.plug(one, "lan", prefix(ONE), prefix(ONE6))
        switch.plug(two, "lan", prefix(TWO), prefix(TWO6))
        hosts = {
            "client": behind(network, one, "eth1", "client", CLIENT),
            "third": behind(network, one, "eth2", "third", THIRD),
            "far": behind(network, two, "eth1", "far", FAR),
            "far too": behind(network, one, "eth3", "fartoo", FAR_TOO),
            "outside": behind(network, two, "eth2", "outside", OUTSIDE),
            "near": network.host("near"),
        }
        switch.plug(hosts["near"], "eth0", *map(prefix, NEAR))
        # By way of one to what is behind two, for who knows no better.
        for address in (FAR, OUTSIDE):
            for to, via in zip(address, (TWO, TWO6)):
                one.route(network_of(to), via)
        switch.capture("tap0")
        server = Server(switch, "--address", prefix(SERVER), "--address", prefix(SERVER6), *options)
        server.wait(hosts["near"], SERVER, SERVER6)
        server.settle(hosts["near"], "eth0")
        return Place(switch, {"one": one, "two": two}, hosts, server)
    return build


def reached(name, addresses, by):
    """The server serves the host, and all that it sends there goes to that router, or to `near`."""
    def play(place):
        begin, host = time.time(), place.hosts[name]
        for client in ("curl", "lftp"):
            transfers(place.server, host, client, SERVER)
            transfers(place.server, host, client, SERVER6)
        for server, address in zip((SERVER, SERVER6), addresses):
            echo(place.server.network, host, server)
            host.ping(server)
            check_way(place, address, by, begin)
    return play


def check_way(place, address, by, begin):
    """Connections go by the table; what needs no connection is answered the way it came."""
    device = "lan" if by in place.routers else "eth0"
    wanted = {**place.routers, **place.hosts}[by].hardware_address(device)
    family = "ipv6" if ":" in address else "ip"
    tap = place.server.network.captures[0]
    server = place.server.hardware_address
    # An RST may be for what came when its connection was over.
    frames = f"tcp.flags.reset == 0 && eth.src == {server} && {family}.dst == {address}"
    sent = tap.fields(frames, "eth.dst", since=begin)
    check(len(sent) > 100, f"{len(sent)} frames to {address} were seen")
    ways = {way for way, in sent}
    check(ways == {wanted}, f"sent by way of {ways}, and {by} is {wanted}")


GATEWAYS = ["--gateway", ONE, "--gateway", ONE6]
# The longest prefix wins, whichever comes first; what no route is for is the gateway's.
ROUTES = [*GATEWAYS, "--route", f"10.4.0.0/16={TWO}", "--route", f"10.4.128.0/24={ONE}",
          "--route", f"fd00:4:0:8000::/64={ONE6}", "--route", f"fd00:4::/48={TWO6}",
          "--route", f"192.0.2.0/24={TWO}", "--route", f"fd00:5::/64={TWO6}"]

TOPOLOGIES = [
    Topology("one gateway", set_up(*GATEWAYS), [
        Case("client behind the router", reached("client", CLIENT, "one")),
        Case("host on the third network", reached("third", THIRD, "one")),
        Case("host on the server's network", reached("near", NEAR, "near")),
        Case("behind another router, by the gateway", reached("far", FAR, "one")),
    ]),
    Topology("routes", set_up(*ROUTES), [
        Case("client that no route is for", reached("client", CLIENT, "one")),
        Case("host on the server's network", reached("near", NEAR, "near")),
        Case("a route to another router", reached("far", FAR, "two")),
        Case("a longer prefix in it", reached("far too", FAR_TOO, "one")),
        Case("another route to that router", reached("outside", OUTSIDE, "two")),
    ]),
]
