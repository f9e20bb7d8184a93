"""5. Addresses from a DHCP server, and from nobody when there is none.

    far --- dhcp --- switch --- server
    10.9.0.2   192.168.77.1 |
                          client, 192.168.77.2"""

import re
import subprocess
import time
from typing import NamedTuple

from daemons import Dnsmasq, Udhcpd, until
from lab import check
from network import Bridge, Host, Router, Server
from topology import Case, Topology, echo, transfers
from wire import anna

DHCP, CLIENT, FAR, FAR_ROUTER = "192.168.77.1", "192.168.77.2", "10.9.0.2", "10.9.0.1"
FIRST_RANGE = ("192.168.77.50", "192.168.77.59")
SECOND_RANGE = ("192.168.77.80", "192.168.77.89")
CLIENT_LINK_LOCAL = "169.254.7.7"
LEASE_SECONDS = 10  # of udhcpd


class Place(NamedTuple):
    switch: Bridge
    router: Router
    client: Host
    far: Host
    dhcp: object  # the DHCP server
    server: Server


def network_with(network, daemon, *options):
    """A switch, what is plugged into it, and tinyftp with these options."""
    switch, client, far = network.bridge("switch"), network.host("client"), network.host("far")
    router = network.router("dhcp")
    switch.tap()
    switch.plug(router, "eth0", f"{DHCP}/24")
    switch.plug(client, "eth0", f"{CLIENT}/24", f"{CLIENT_LINK_LOCAL}/16")
    network.link(router, "eth1", far, "eth0")
    router.address("eth1", f"{FAR_ROUTER}/24")
    far.address("eth0", f"{FAR}/24")
    far.route("default", FAR_ROUTER)
    switch.capture("tap0")
    return Place(switch, router, client, far, daemon(router), Server(switch, *options))


def with_dnsmasq(*options):
    def build(network):
        return network_with(network, lambda host: Dnsmasq(host, "eth0"), *options)
    return build


def with_udhcpd(network):
    def daemon(host):
        return Udhcpd(host, "eth0", *FIRST_RANGE, LEASE_SECONDS)
    return network_with(network, daemon, "--address", "dhcp")


# What is on the wire: the cases believe no log of tinyftp's.

MESSAGES = {"offer": 2, "request": 3, "ack": 5, "nak": 6}


def messages(place, kind, *fields, where="dhcp", since=0):
    tap = place.server.network.captures[0]
    return tap.fields(f"dhcp.option.dhcp == {MESSAGES[kind]} && ({where})",
                      *fields or ("frame.number",), since=since)


def next_message(place, kind, seconds, *fields, where="dhcp"):
    """Those of the first such message from now on."""
    begin = time.time()

    def seen():
        return messages(place, kind, *fields, where=where, since=begin)
    return until(seen, seconds, f"DHCP {kind}, {where}")[0]


def leased(place, since=0, seconds=15):
    """The address in the last ACK, when there is one; the server answers there."""
    def seen():
        return messages(place, "ack", "dhcp.ip.your", since=since)
    address = until(seen, seconds, "a lease")[-1][0]
    place.server.wait(place.client, address)
    return address


def running(place, addresses=FIRST_RANGE):
    """A lease of the DHCP server, which runs; a case may be played without those before it."""
    if place.dhcp.runs:
        return leased(place)
    begin = time.time()
    place.dhcp.start(*addresses) if isinstance(place.dhcp, Dnsmasq) else place.dhcp.start()
    # It may not have noticed that there was another server in between.
    return leased(place, since=begin, seconds=20)


def is_in(address, addresses):
    first, last = (int(one.split(".")[3]) for one in addresses)
    network, host = address.rsplit(".", 1)
    return network == "192.168.77" and first <= int(host) <= last


def answers_ping(host, address):
    with host.inside():
        done = subprocess.run(["ping", "-n", "-c", "2", "-i", "0.2", "-W", "0.3", address],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=5)
    return done.returncode == 0


def session(place, address):
    """A session that lasts; nobody says anything in it but the case."""
    with place.client.inside():
        return anna(address=address)


def check_over(place, control):
    """The server has ended the session; the client learns it too, or gets no answer."""
    host, port = control.socket.getsockname()[:2]
    peer = f"[{host}]" if ":" in host else host
    until(lambda: f"{peer}:{port} disconnected" in place.server.log(everything=True), 5,
          "the session ends")
    control.socket.settimeout(1)
    try:
        control.socket.sendall(b"NOOP\r\n")
        check(not control.socket.recv(100), "the session is answered although its address is gone")
    except OSError:
        pass


# With dnsmasq, which tells its clients to renew after 3 s and to rebind after 6 s.

def lease(place):
    address = running(place)
    check(is_in(address, FIRST_RANGE), f"{address} is not of the range")
    given = place.dhcp.messages("DHCPACK")
    check(set(given) == {address}, f"the server says that it gave {given}, and not {address}")
    check(address in place.server.log(everything=True), f"{address} is not in our log")
    for client in ("curl", "ftplib", "lftp"):
        transfers(place.server, place.client, client, address)
    echo(place.server.network, place.client, address)
    place.client.ping(address)


def router_of_lease(place):
    address = running(place)
    transfers(place.server, place.far, "curl", address)
    echo(place.server.network, place.far, address)
    place.far.ping(address)


def renewal(place):
    address = running(place)
    with session(place, address) as control:
        for _ in range(2):
            asked = next_message(place, "request", 8, "ip.src", "ip.dst", "dhcp.ip.client")
            check(asked == (address, DHCP, address), f"asked for was {asked}")
        next_message(place, "ack", 8, where=f"ip.dst == {address}")
        control.ask("NOOP", 200)
    check(set(place.dhcp.messages("DHCPACK")[-3:]) == {address}, "another address was given")


UNICAST_DROPPED = f"""
table inet rebinding {{
    chain input {{
        type filter hook input priority 0;
        ip daddr {DHCP} udp dport 67 drop
    }}
}}"""


def rebinding(place):
    address = running(place)
    place.router.filter(UNICAST_DROPPED)
    try:
        with session(place, address) as control:
            asked = next_message(place, "request", 15, "ip.src", "dhcp.ip.client",
                                 where="ip.dst == 255.255.255.255")
            check(asked == (address, address), f"asked for was {asked}")
            control.ask("NOOP", 200)
    finally:
        place.router.run("nft", "delete", "table", "inet", "rebinding")
    check(leased(place) == address, "another address was given")


def restart(place):
    """The DHCP server has forgotten everything, and is asked for the address by who has it."""
    address = running(place)
    with session(place, address) as control:
        place.dhcp.stop()
        place.dhcp.start(*FIRST_RANGE)
        begin = time.time()
        until(lambda: messages(place, "ack", since=begin), 15, "a renewal")
        control.ask("NOOP", 200)
    check(leased(place) == address, "another address was given")


def refusal(place):
    """The DHCP server has other addresses by now, and says no."""
    before = running(place)
    control = session(place, before)
    place.dhcp.stop()
    begin = time.time()
    place.dhcp.start(*SECOND_RANGE)
    until(lambda: messages(place, "nak", since=begin), 15, "DHCPNAK")
    with control:
        check_over(place, control)
    check(not answers_ping(place.client, before), f"{before} is still answered")
    after = leased(place, since=begin)
    check(is_in(after, SECOND_RANGE), f"{after} is not of the new range")
    transfers(place.server, place.client, "curl", after)
    transfers(place.server, place.far, "curl", after)


# Leases run out.

def expiry(place):
    """The DHCP server is gone; so is the address when its time is over."""
    address = running(place)
    control = session(place, address)
    place.dhcp.kill()
    lease_time = "dhcp.option.ip_address_lease_time"
    last, seconds = map(float, messages(place, "ack", "frame.time_epoch", lease_time)[-1])
    until(lambda: not answers_ping(place.client, address), seconds + 5, "the lease runs out")
    held = time.time() - last
    check(seconds - 1 < held < seconds + 4, f"the address was ours for {held:.1f} s")
    with control:
        check_over(place, control)
    return f"{held:.1f} s"


def next_lease(place):
    """With the next lease the services are back."""
    address = running(place)
    transfers(place.server, place.client, "curl", address)
    echo(place.server.network, place.client, address)


# With --address auto: an address of 169.254.0.0/16 as long as no DHCP server gives another.

def chosen_address(place, seconds=20):
    tap = place.server.network.captures[0]

    def announced():
        return tap.fields("arp.src.proto_ipv4 == 169.254.0.0/16 && arp.isgratuitous == 1",
                          "arp.src.proto_ipv4")
    address = until(announced, seconds, "an announcement of a link-local address")[-1][0]
    place.server.wait(place.client, address)
    return address


def link_local(place):
    address = chosen_address(place)
    check(re.fullmatch(r"169\.254\.\d+\.\d+", address), address)
    check(not address.startswith(("169.254.0.", "169.254.255.")), f"{address} is reserved")
    for client in ("curl", "ftplib"):
        transfers(place.server, place.client, client, address)
    echo(place.server.network, place.client, address)
    place.client.ping(address)


def probed(place):
    """RFC 3927 2.2.1: it has asked three times whether somebody has it."""
    address = chosen_address(place)
    tap = place.server.network.captures[0]
    questions = tap.fields(f"arp.src.proto_ipv4 == 0.0.0.0 && arp.dst.proto_ipv4 == {address}",
                           "eth.src")
    check(len(questions) >= 3, f"asked {len(questions)} times")


def replaced(place):
    """A DHCP server appears."""
    before = chosen_address(place)
    begin = time.time()
    place.dhcp.start(*FIRST_RANGE)
    after = leased(place, since=begin, seconds=70)
    check(is_in(after, FIRST_RANGE), f"{after} is not of the range")
    seconds = time.time() - begin
    transfers(place.server, place.client, "curl", after)
    until(lambda: not answers_ping(place.client, before), 10, f"{before} is given up")
    return f"{seconds:.1f} s after the server"


TOPOLOGIES = [
    # The least that this server gives are two minutes: it comes first, beside all others.
    Topology("dhcp long", with_dnsmasq("--address", "dhcp"), [
        Case("the lease runs out", expiry, 160),
        Case("the next lease", next_lease, 60),
    ]),
    Topology("dhcp", with_dnsmasq("--address", "dhcp"), [
        Case("lease", lease, 40),
        Case("a far host by the router of the lease", router_of_lease),
        Case("renewal", renewal),
        Case("rebinding", rebinding, 40),
        Case("the DHCP server starts anew", restart, 40),
        Case("NAK", refusal, 60),
    ]),
    Topology("dhcp short", with_udhcpd, [
        Case("the lease runs out", expiry, 60),
        Case("the next lease", next_lease, 60),
    ]),
    Topology("dhcp or auto", with_dnsmasq("--address", "dhcp", "--address", "auto"), [
        Case("link-local address", link_local, 60),
        Case("link-local address, probed for", probed),
        Case("a DHCP server appears", replaced, 90),
    ]),
]
