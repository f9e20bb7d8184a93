"""1. Client and server on one link, both families, two addresses of each."""

from functools import partial
from typing import NamedTuple

from lab import HOST, HOST6, REPO, SERVER, SERVER6, check
from network import Host, Server
from topology import Case, Topology, echo, transfers
from wire import Control, drain

ADDRESSES = (SERVER, "192.168.69.2", SERVER6, "fd00:69::2")


class Link(NamedTuple):
    client: Host
    server: Server


def set_up(network):
    client = network.host("client")
    client.run(REPO / "scripts/setup-tap.sh", "--address6", HOST6 + "/64")
    client.prepare("tap0")
    client.capture("tap0")
    lengths = (f"/{64 if ':' in address else 24}" for address in ADDRESSES)
    options = (f"--address={address}{length}" for address, length in zip(ADDRESSES, lengths))
    server = Server(client, *options)
    server.wait(client, *ADDRESSES)
    return Link(client, server)


def with_client(client, address):
    return lambda place: transfers(place.server, place.client, client, address)


def with_nc(address):
    return lambda place: echo(place.server.network, place.client, address)


def with_ping(address):
    def play(place):
        place.client.ping(address)
        place.client.ping(address, "-s", "1400")
    return play


TOPOLOGIES = [
    Topology("on-link", set_up, [
        *(Case(f"{client} to {address}", with_client(client, address))
          for client in ("curl", "ftplib", "lftp") for address in ADDRESSES),
        *(Case(f"echo at {address}", with_nc(address)) for address in ADDRESSES),
        *(Case(f"ping {address}", with_ping(address)) for address in ADDRESSES),
    ]),
]
