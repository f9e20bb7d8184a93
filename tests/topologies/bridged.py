"""7. Two servers and a client on a switch, and frames of all sizes."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from lab import HOST, HOST6, MIB, REPO, SERVER, SERVER6, check
from network import Host, Server
from topology import Case, Topology, echo, transfer
from wire import anna

OTHER, OTHER6 = "192.168.69.2", "fd00:69::2"


class Place(NamedTuple):
    client: Host
    servers: list


def two_servers(network):
    switch, client = network.bridge("switch"), network.host("client")
    switch.plug(client, "eth0", HOST + "/24", HOST6 + "/64")
    servers = []
    for device, address, address6 in (("tap0", SERVER, SERVER6), ("tap1", OTHER, OTHER6)):
        switch.tap(device)
        switch.capture(device)
        servers.append(Server(switch, "--address", address + "/24", "--address", address6 + "/64",
                              device=device))
    for server, address in zip(servers, (SERVER, OTHER)):
        server.wait(client, address)
        server.settle(client, "eth0")
    return Place(client, servers)


def both_at_once(client, *addresses):
    """Each server has what was meant for it, in every mode, with both transfers under way."""
    def play(place):
        modes = ("epsv", "eprt") if ":" in addresses[0] else ("pasv", "epsv", "port")
        with ThreadPoolExecutor(len(place.servers)) as threads:
            for mode in modes:
                played = [threads.submit(transfer, server, place.client, client, address, mode,
                                         5 * MIB)
                          for server, address in zip(place.servers, addresses)]
                for one in played:
                    one.result()
    return play


def server_to_server(place):
    """FXP: neither server connects to the other, and neither waits for the other (RFC 2577 3)."""
    begin = time.time()
    with place.client.inside(), anna(address=SERVER) as first, anna(address=OTHER) as second:
        for one, other, address in ((first, second, SERVER), (second, first, OTHER)):
            port = one.passive_port()
            numbers = f"{address.replace('.', ',')},{port >> 8},{port & 255}"
            for line in (f"PORT {numbers}", f"EPRT |1|{address}|{port}|"):
                words = other.ask(line, 504)[1]
                check("own address" in words, f"no reason given: {words}")
                other.ask("NOOP", 200)
    for capture in place.servers[0].network.captures:
        called = capture.fields(f"ip.addr == {SERVER} && ip.addr == {OTHER}", "frame", since=begin)
        check(not called, f"the servers talk to each other: {called}")


# MTU

def link_of(mtu):
    """With IPv6 where there can be any (RFC 8200 5)."""
    def set_up(network):
        client = network.host("client")
        addresses = [SERVER + "/24", *([SERVER6 + "/64"] if mtu >= 1280 else [])]
        ours = ["--address6", HOST6 + "/64"] if mtu >= 1280 else []
        client.run(REPO / "scripts/setup-tap.sh", "--mtu", mtu, *ours)
        client.ask_soon("tap0")
        client.capture("tap0")
        server = Server(client, *(f"--address={address}" for address in addresses))
        server.wait(client, SERVER)
        if mtu >= 1280:
            server.settle(client, "tap0")
        return Place(client, [server])
    return set_up


def whole(mtu, address, client, mode):
    """5 MiB each way, a listing and an echo; the frames are as large as they can be."""
    def play(place):
        server, host, begin = place.servers[0], place.client, time.time()
        transfer(server, host, client, address, mode, size=5 * MIB)
        echo(server.network, host, address)
        headers = 48 if ":" in address else 28  # IP and ICMP
        host.ping(address, "-M", "do", "-s", str(mtu - headers))
        family = "ipv6" if ":" in address else "ip"
        for side in ("src", "dst"):
            sizes = server.network.captures[0].fields(f"{family}.{side} == {address} && tcp",
                                                      "frame.len", since=begin)
            largest = max(int(size) for size, in sizes)
            check(largest == mtu + 14, f"{side} {address}: the largest frame has {largest} bytes")
    return play


def mtu_cases(mtu):
    yield Case(f"curl, 5 MiB over IPv4 at MTU {mtu}", whole(mtu, SERVER, "curl", "pasv"))
    yield Case(f"lftp, 5 MiB over IPv4 at MTU {mtu}", whole(mtu, SERVER, "lftp", "port"))
    if mtu >= 1280:
        yield Case(f"curl, 5 MiB over IPv6 at MTU {mtu}", whole(mtu, SERVER6, "curl", "eprt"))
        yield Case(f"lftp, 5 MiB over IPv6 at MTU {mtu}", whole(mtu, SERVER6, "lftp", "epsv"))


TOPOLOGIES = [
    Topology("two servers", two_servers, [
        *(Case(f"{client}, both at once over IPv4", both_at_once(client, SERVER, OTHER))
          for client in ("curl", "lftp")),
        *(Case(f"{client}, both at once over IPv6", both_at_once(client, SERVER6, OTHER6))
          for client in ("curl", "lftp")),
        Case("transfers between the two are refused", server_to_server),
    ]),
    *(Topology(f"MTU {mtu}", link_of(mtu), list(mtu_cases(mtu)))
      for mtu in (576, 1280, 1500, 9000)),
]
