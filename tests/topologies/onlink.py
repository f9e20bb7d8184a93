"""1. Client and server on one link: both families, two addresses of each and the link-local one."""

import socket
from typing import NamedTuple

from lab import HOST, HOST6, REPO, SERVER, SERVER6, check
from network import Host, Server
from topology import ALL_MODES, Case, Topology, echo, transfers
from wire import anna, drain

OTHER, OTHER6 = "192.168.69.2", "fd00:69::2"
ADDRESSES = (SERVER, OTHER, SERVER6, OTHER6)


class Link(NamedTuple):
    client: Host
    server: Server


def set_up(network):
    client = network.host("client")
    client.run(REPO / "scripts/setup-tap.sh", "--address6", HOST6 + "/64")
    client.ask_soon("tap0")
    client.capture("tap0")
    options = [f"--address={address}/{64 if ':' in address else 24}" for address in ADDRESSES]
    server = Server(client, *options)
    server.wait(client, *ADDRESSES)
    server.settle(client, "tap0")
    return Link(client, server)


def scoped(link):
    return f"{link.server.link_local}%tap0"


# Each takes the address, or a function that knows it when the server runs.

def at(address, link):
    return address(link) if callable(address) else address


def with_client(client, address, only=ALL_MODES):
    return lambda link: transfers(link.server, link.client, client, at(address, link), only)


def with_nc(address):
    return lambda link: echo(link.server.network, link.client, at(address, link))


def with_ping(address):
    def play(link):
        link.client.ping(at(address, link))
        link.client.ping(at(address, link), "-s", "1400")
    return play


# Of four addresses, it has to be the one that the client talks to.

def announced(link):
    """PASV names the address of the control connection."""
    with link.client.inside():
        for address in (SERVER, OTHER):
            with anna(address=address) as control:
                words = control.ask("PASV", 227)[1]
                check(address.replace(".", ",") in words, f"not {address}: {words}")


def called_from(link):
    """An active data connection comes from the address of the control connection, port 20."""
    (link.server.root / "there.bin").write_bytes(b"there")
    with link.client.inside():
        for address in ADDRESSES:
            with anna(address=address) as control:
                here, _, *scope = control.socket.getsockname()
                family = control.socket.family
                with socket.create_server((here, 0, *scope), family=family) as listener:
                    listener.settimeout(10)
                    number = 2 if ":" in here else 1
                    control.ask(f"EPRT |{number}|{here}|{listener.getsockname()[1]}|", 200)
                    control.ask("RETR there.bin", 150)
                    data, peer = listener.accept()
                    check(peer[:2] == (address, 20), f"called from {peer}, not from {address}")
                    check(drain(data) == b"there", "something else came")
                    control.want(226)


# RFC 2428: who has the other family is told so, and is served all the same.

REFUSED = {
    SERVER: [(f"EPRT |2|{HOST6}|5000|", 522, "(1)"), ("EPSV 2", 522, "(1)")],
    SERVER6: [("PASV", 425, "EPSV"), ("PORT 192,168,69,100,19,136", 522, "(2)"),
              (f"EPRT |1|{HOST}|5000|", 522, "(2)"), ("EPSV 1", 522, "(2)")],
}


def refused(link):
    (link.server.root / "there.bin").write_bytes(b"there")
    with link.client.inside():
        for address, lines in REFUSED.items():
            with anna(address=address) as control:
                for line, code, words in lines:
                    reply = control.ask(line, code)[1]
                    check(words in reply, f"{words} is not in the reply:\n{control}")
                    check(control.fetch("there.bin") == b"there", "not served after that")


CLIENTS = ("curl", "ftplib", "lftp")
TOPOLOGIES = [
    Topology("on-link", set_up, [
        *(Case(f"{client} to {address}", with_client(client, address))
          for client in CLIENTS for address in ADDRESSES),
        *(Case(f"echo at {address}", with_nc(address)) for address in ADDRESSES),
        *(Case(f"ping {address}", with_ping(address)) for address in ADDRESSES),
        Case("PASV names the address of its connection", announced),
        Case("data connections come from that address", called_from),
        Case("modes of the other family are refused", refused),
        # curl 7.88 leaves the scope out when it binds a socket for an active connection.
        Case("curl to the link-local address", with_client("curl", scoped, ["epsv"])),
        *(Case(f"{client} to the link-local address", with_client(client, scoped))
          for client in ("ftplib", "lftp")),
        Case("echo at the link-local address", with_nc(scoped)),
        Case("ping the link-local address", with_ping(scoped)),
    ]),
]
