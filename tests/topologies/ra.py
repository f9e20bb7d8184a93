"""5. Addresses of IPv6 from a router that advertises a prefix, and the way through that router.

    far --- router --- switch --- server
    fd00:9::2       fd00:77::/64 |
                               client, fd00:77::2

The router's advertisements are good for 6 s, their prefix for 14 s."""

import ipaddress
import socket
import time
from typing import NamedTuple

from daemons import Radvd, until
from dhcp import answers_ping, check_over, session
from lab import check
from network import Bridge, Host, Router, Server
from topology import Case, Topology, echo, transfers

PREFIX, ROUTER, CLIENT = "fd00:77::/64", "fd00:77::1", "fd00:77::2"
FAR_ROUTER, FAR = "fd00:9::1", "fd00:9::2"
ROUTER_LIFETIME, PREFIX_LIFETIME = 6, 14


class Place(NamedTuple):
    switch: Bridge
    router: Router
    client: Host
    far: Host
    radvd: Radvd
    server: Server


def set_up(network):
    switch, client, far = network.bridge("switch"), network.host("client"), network.host("far")
    router = network.router("router")
    switch.tap()
    client.set("ipv6/conf/default/accept_ra", 0)
    switch.plug(router, "eth0", ROUTER + "/64")
    switch.plug(client, "eth0", CLIENT + "/64")
    network.link(router, "eth1", far, "eth0")
    router.address("eth1", FAR_ROUTER + "/64")
    far.address("eth0", FAR + "/64")
    far.route("default", FAR_ROUTER)
    switch.capture("tap0")
    radvd = Radvd(router, "eth0", PREFIX, ROUTER_LIFETIME, PREFIX_LIFETIME)
    radvd.start()
    server = Server(switch, "--address", "auto")
    until(lambda: "hardware address" in server.log(), 5, "the server's first line")
    server.wait(client, f"{server.link_local}%eth0")
    return Place(switch, router, client, far, radvd, server)


def address_of(server):
    """RFC 4862 5.5.3 d: the prefix, and what its link-local address ends with."""
    identifier = int(ipaddress.ip_address(server.link_local)) & (1 << 64) - 1
    return str(ipaddress.ip_network(PREFIX)[identifier])


def advertised(place):
    """Its address, while the router advertises; a case may be played without those before it."""
    if not place.radvd.runs:
        place.radvd.start()
    address = address_of(place.server)
    place.server.wait(place.client, address)
    return address


def last_advertisement(place):
    tap = place.server.network.captures[0]
    return float(tap.fields("icmpv6.type == 134", "frame.time_epoch")[-1][0])


def on_link(place):
    address = advertised(place)
    for client in ("curl", "ftplib", "lftp"):
        transfers(place.server, place.client, client, address)
    echo(place.server.network, place.client, address)
    place.client.ping(address)


def probed(place):
    """RFC 4862 5.4: it has asked whether somebody has the address, and the link-local one."""
    address = advertised(place)
    tap = place.server.network.captures[0]
    for one in (address, place.server.link_local):
        asked = tap.fields(f"icmpv6.type == 135 && ipv6.src == :: && icmpv6.nd.ns.target_address == {one}",
                           "eth.src")
        check(asked == [(place.server.hardware_address,)], f"{one} was asked for by {asked}")


def through_router(place):
    address, begin = advertised(place), time.time()
    transfers(place.server, place.far, "curl", address)
    transfers(place.server, place.far, "lftp", address)
    echo(place.server.network, place.far, address)
    place.far.ping(address)
    tap = place.server.network.captures[0]
    sent = tap.fields(f"eth.src == {place.server.hardware_address} && ipv6.dst == {FAR}",
                      "eth.dst", since=begin)
    router = place.router.hardware_address("eth0")
    check(len(sent) > 100 and set(sent) == {(router,)}, f"{len(sent)} frames by way of {set(sent)}")


def last_words(place):
    """RFC 4861 6.2.5: a router that ends says so. Its prefix is still good for the link."""
    address = advertised(place)
    place.far.ping(address)
    place.radvd.stop()
    final = place.server.network.captures[0].fields(
        "icmpv6.type == 134 && icmpv6.nd.ra.router_lifetime == 0", "eth.src")
    check(final, "radvd has not said that it ends")
    check(not greets(place.far, address), "there is still a way through the router")
    transfers(place.server, place.client, "curl", address)


def greets(host, address):
    """Whether FTP answers. A ping says nothing of routes: its answer goes back as it came."""
    with host.inside(), socket.socket(socket.AF_INET6) as control:
        control.settimeout(1)
        return control.connect_ex((address, 21)) == 0


def prefix_expires(place):
    address = advertised(place)
    control = session(place, address)
    if place.radvd.runs:
        place.radvd.stop()
    last = last_advertisement(place)
    until(lambda: not answers_ping(place.client, address), PREFIX_LIFETIME + 5, "the prefix expires")
    held = time.time() - last
    check(PREFIX_LIFETIME - 2 < held, f"the address was given up after {held:.1f} s")
    with control:
        check_over(place, control)
    place.client.ping(f"{place.server.link_local}%eth0")
    return f"{held:.1f} s"


def router_lost(place):
    """The router says nothing any more, not even that it ends."""
    address = advertised(place)
    until(lambda: greets(place.far, address), 10, "a way through the router")
    place.radvd.kill()
    last = last_advertisement(place)
    until(lambda: not greets(place.far, address), ROUTER_LIFETIME + 4, "the router is given up")
    held = time.time() - last
    check(ROUTER_LIFETIME - 2 < held, f"the router was given up after {held:.1f} s")
    place.client.ping(address)
    return f"{held:.1f} s"


TOPOLOGIES = [
    Topology("advertisement", set_up, [
        Case("an address of the prefix", on_link),
        Case("asked for before it is used", probed),
        Case("a far host through the router", through_router),
        Case("the router ends", last_words),
        Case("the prefix runs out", prefix_expires, 60),
        Case("the router is lost", router_lost, 60),
    ]),
]
