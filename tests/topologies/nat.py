"""3 and 4. A router that translates addresses, before the client or before the server.

    client, other --- inside [ router ] outside --- server, or the two sides the other way round"""

import socket
import time
from typing import NamedTuple

from clients import Session, perform
from lab import check
from network import Router, Server
from topology import Case, Topology, echo, transfer, transfers
from wire import anna, drain

CLIENTS = ("curl", "ftplib", "lftp")
PASSIVE, ACTIVE = ("pasv", "epsv"), ("port", "eprt")


class Place(NamedTuple):
    router: Router
    clients: list
    server: Server


# The client behind the router. The server's network knows nothing of the inside.

PUBLIC, PUBLIC6 = "203.0.113.1", "2001:db8::1"  # the server
OUTSIDE, OUTSIDE6 = "203.0.113.254", "2001:db8::254"  # the router, as the server sees it
MASQUERADE = """
    table inet translation {
        chain out { type nat hook postrouting priority srcnat; oif tap0 masquerade; }
    }"""
# The kernel's own reader of control connections: it rewrites addresses and lets the data through.
FTP_READER = """
    table inet reader {
        ct helper ftp { type "ftp" protocol tcp; }
        chain prerouting {
            type filter hook prerouting priority filter; tcp dport 21 ct helper set "ftp";
        }
    }"""
# Nothing comes in that nobody has asked for.
FIREWALL = """
    table inet firewall {
        chain forward {
            type filter hook forward priority filter; policy drop;
            ct state established,related accept
            %s accept
        }
    }"""


def client_behind(rules):
    def set_up(network):
        router = network.router("router")
        router.tap()
        router.address("tap0", OUTSIDE + "/24", OUTSIDE6 + "/64")
        inside = network.bridge("inside")
        inside.plug(router, "lan", "192.168.1.1/24", "fd00:1::1/64")
        router.filter(rules)
        clients = []
        for number in (2, 3):
            client = network.host(f"client{number}")
            inside.plug(client, "eth0", f"192.168.1.{number}/24", f"fd00:1::{number}/64")
            client.route("default", "192.168.1.1")
            client.route("default", "fd00:1::1")
            clients.append(client)
        router.capture("tap0")
        router.capture("lan")
        server = Server(router, "--address", PUBLIC + "/24", "--address", PUBLIC6 + "/64")
        server.wait(clients[0], PUBLIC, PUBLIC6)
        server.settle(router, "tap0")
        return Place(router, clients, server)
    return set_up


def with_client(client, only, *addresses):
    def play(place):
        for address in addresses:
            transfers(place.server, place.clients[0], client, address, only)
    return play


def seen_as_router(place):
    """The server knows the router's address only."""
    with place.clients[0].inside():
        for address, outside in ((PUBLIC, OUTSIDE), (PUBLIC6, OUTSIDE6)):
            with anna(address=address) as control:
                control.ask("NOOP", 200)
            check(f"{outside}" in place.server.log(), "the log names somebody else")
    check("192.168.1." not in place.server.log(), "the log names an inner address")


def two_at_once(place):
    """Two clients with one address: each gets its own, with all connections interleaved."""
    names, controls, connections = ("first", "second"), [], []
    for name, client in zip(names, place.clients):
        (place.server.root / name).write_bytes(name.encode() * 100_000)
        with client.inside():
            controls.append(anna(address=PUBLIC))
    for client, control in zip(place.clients, controls):
        with client.inside():
            connections.append(control.passive())
    for name, control in zip(names, controls):
        control.ask(f"RETR {name}", 150)
    for name, control, data in zip(names, controls, connections):
        check(drain(data) == name.encode() * 100_000, f"{name} got something else")
        control.want(226)
        control.socket.close()


def refused_inner_address(place):
    """The inner address in PORT is not the client's, for all that the server sees: it says so."""
    client, server = place.clients[0], place.server
    begin = time.time()
    with client.inside():
        for address, lines in ((PUBLIC, ("PORT 192,168,1,2,19,136", "EPRT |1|192.168.1.2|5000|")),
                               (PUBLIC6, ("EPRT |2|fd00:1::2|5000|",))):
            with anna(address=address) as control:
                for line in lines:
                    words = control.ask(line, 504)[1]
                    check("own address" in words, f"no reason given:\n{control}")
                control.ask("NOOP", 200)
    (server.root / "there.bin").write_bytes(b"there")
    session = Session(server.network, "port", PUBLIC)
    with client.inside():
        outcome = perform("curl", session, ("get", "there.bin", "back"), fails=True)
    check("504 Only your own address" in outcome.text, f"no reason given:\n{outcome.text}")
    tap = server.network.captures[0]
    called = tap.fields(f"eth.src == {server.hardware_address} && tcp.flags.syn == 1 && "
                        "tcp.flags.ack == 0", "ip.dst", since=begin)
    check(not called, f"the server called {called}")


def rewritten(place):
    """What the client says inside is not what comes out: the server gets the router's address."""
    begin = time.time()
    transfer(place.server, place.clients[0], "curl", PUBLIC, "port")
    transfer(place.server, place.clients[0], "curl", PUBLIC, "eprt")
    outside, inside = place.server.network.captures
    for capture, address in ((inside, "192.168.1.2"), (outside, OUTSIDE)):
        lines = capture.fields('ftp.request.command matches "PORT|EPRT"', "ftp.request.arg",
                               since=begin)
        check(len(lines) == 6, f"{len(lines)} lines were seen: {lines}")
        for line, in lines:
            check(address in line.replace(",", "."), f"{line} on {capture.name}")


# The server behind the router. The network of the clients knows nothing of the inside.

INNER = "192.168.69.1"
FRONT = "198.51.100.1"  # the router's outer address


def forwarded(ports):
    """As the README has it."""
    return f"""
        table ip tinyftp {{
            chain prerouting {{
                type nat hook prerouting priority dstnat;
                ip daddr {FRONT} tcp dport {ports} dnat to {INNER}
            }}
        }}"""


def server_behind(rules, *options):
    def set_up(network):
        router = network.router("router")
        router.tap()
        router.address("tap0", "192.168.69.100/24")
        client = network.host("client")
        network.link(router, "wan", client, "eth0")
        router.address("wan", FRONT + "/24")
        client.address("eth0", "198.51.100.2/24")
        router.filter(rules)
        router.capture("tap0")
        router.capture("wan")
        server = Server(router, "--address", INNER + "/24", "--gateway", "192.168.69.100", *options)
        server.wait(client, FRONT)
        server.settle(router, "tap0")
        return Place(router, [client], server)
    return set_up


def announces(address, ports):
    def play(place):
        with place.clients[0].inside(), anna(address=FRONT) as control:
            for _ in range(10):
                words = control.ask("PASV", 227)[1]
                numbers = words[words.index("(") + 1:words.index(")")].split(",")
                port = int(numbers[4]) * 256 + int(numbers[5])
                check(".".join(numbers[:4]) == address, f"not {address}: {words}")
                check(port in ports and control.passive_port() in ports, f"port {port}")
    return play


def translated(place):
    """PASV tells the inner address on the inside, and the outer one on the outside."""
    begin = time.time()
    transfer(place.server, place.clients[0], "curl", FRONT, "pasv")
    inside, outside = place.server.network.captures
    for capture, address in ((inside, INNER), (outside, FRONT)):
        replies = capture.fields("ftp.response.code == 227", "ftp.response.arg", since=begin)
        check(len(replies) == 3, f"{len(replies)} replies were seen: {replies}")
        for reply, in replies:
            check(address.replace(".", ",") in reply, f"{reply} on {capture.name}")


def only_the_front(place):
    """No port but those that are forwarded is reached from outside."""
    with place.clients[0].inside():
        for port in (7, 20, 49999, 50100):
            check(not connects(FRONT, port), f"port {port} is reached, too")


def connects(address, port):
    try:
        socket.create_connection((address, port), 2).close()
        return True
    except OSError:
        return False


TOPOLOGIES = [
    Topology("client NAT", client_behind(MASQUERADE), [
        *(Case(f"{client}, passive", with_client(client, PASSIVE, PUBLIC, PUBLIC6))
          for client in CLIENTS),
        Case("the server sees the router's address", seen_as_router),
        Case("two clients at once", two_at_once),
        Case("echo", lambda place: echo(place.server.network, place.clients[0], PUBLIC)),
        Case("active is refused, and told why", refused_inner_address),
    ]),
    Topology("client NAT ct", client_behind(MASQUERADE + FTP_READER + FIREWALL % "iif lan"), [
        *(Case(f"{client}, passive", with_client(client, PASSIVE, PUBLIC, PUBLIC6))
          for client in CLIENTS),
        *(Case(f"{client}, active", with_client(client, ACTIVE, PUBLIC, PUBLIC6))
          for client in CLIENTS),
        Case("PORT and EPRT are rewritten", rewritten),
    ]),
    Topology("server NAT", server_behind(forwarded("{ 21, 50000-50099 }"), "--passive-address",
                                         FRONT, "--passive-ports", "50000-50099"), [
        *(Case(f"{client}, passive", with_client(client, PASSIVE, FRONT)) for client in CLIENTS),
        Case("PASV names the outer address", announces(FRONT, range(50000, 50100))),
        Case("other ports are not reached", only_the_front),
    ]),
    Topology("server NAT ct", server_behind(forwarded("21") + FTP_READER +
                                            FIREWALL % "ct status dnat"), [
        *(Case(f"{client}, passive", with_client(client, PASSIVE, FRONT)) for client in CLIENTS),
        *(Case(f"{client}, active", with_client(client, ACTIVE, FRONT)) for client in CLIENTS),
        Case("PASV is rewritten", translated),
        Case("PASV names the outer address", announces(FRONT, range(49152, 65536))),
    ]),
]
