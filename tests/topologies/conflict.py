"""5. Another host on the link has an address of tinyftp's, or wants it."""

import re
import subprocess
import time
from typing import NamedTuple

from daemons import until
from lab import SERVER, SERVER6, check
from network import Bridge, Host, Server
from topology import Case, Topology, transfers
from wire import anna

CLIENT, CLIENT6 = "192.168.69.100", "fd00:69::100"


class Place(NamedTuple):
    switch: Bridge
    client: Host
    rival: Host
    server: Server


def set_up(network):
    switch, client, rival = (network.bridge("switch"), network.host("client"),
                             network.host("rival"))
    switch.tap()
    switch.plug(client, "eth0", CLIENT + "/24", CLIENT6 + "/64")
    switch.plug(rival, "eth0")
    rival.set("ipv6/conf/eth0/accept_dad", 1)
    switch.capture("tap0")
    server = Server(switch, "--address", SERVER + "/24", "--address", SERVER6 + "/64")
    server.wait(client, SERVER, SERVER6)
    return Place(switch, client, rival, server)


def told(place, address):
    """The lines of our log that have the address and the rival's hardware address."""
    rival = place.rival.hardware_address("eth0")
    lines = (line.replace("-", ":").lower() for line in place.server.log().splitlines())
    return [line for line in lines if re.search(rf"\b{address}(?![\d:.])", line) and rival in line]


def check_told_once(place, address):
    until(lambda: told(place, address), 5, "a line about the conflict")
    time.sleep(1)
    lines = told(place, address)
    check(len(lines) == 1, "\n".join(["told more than once:", *lines]))


def taken(place, address, *claim):
    """The rival gives itself the address and uses it. Whoever talks to us goes on."""
    with place.client.inside():
        control = anna(address=address)
    time.sleep(0.3)  # acknowledgments that are still to come would get an RST from the rival
    with control:
        place.rival.ip("address", "add", address + ("/64" if ":" in address else "/24"),
                       "dev", "eth0", *claim)
        try:
            place.rival.run("ping", "-n", "-c", "1", "-W", "2",
                            CLIENT6 if ":" in address else CLIENT)
            check_told_once(place, address)
        finally:
            place.rival.ip("address", "flush", "dev", "eth0", "to", address)
        control.ask("NOOP", 200)
    transfers(place.server, place.client, "curl", address)


def taken4(place):
    until(lambda: len(announcements(place)) >= 2, 10, "two announcements at the start")
    begin = time.time()
    taken(place, SERVER)
    answers = [float(when) - begin for when, in announcements(place, begin)]
    check(len(answers) == 1, f"it has defended its address after {answers} s")


def announcements(place, since=0):
    """RFC 5227 2.3 and 2.4: it says to all that the address is its own."""
    tap, mac = place.server.network.captures[0], place.server.hardware_address
    return tap.fields(f"arp.isgratuitous == 1 && arp.src.hw_mac == {mac}", "frame.time_epoch",
                      since=since)


def taken6(place):
    """The kernel says that it has the address, without having asked."""
    place.rival.set("ipv6/conf/eth0/ndisc_notify", 1)
    place.rival.ip("link", "set", "dev", "eth0", "down")
    place.rival.ip("link", "set", "dev", "eth0", "up")
    taken(place, SERVER6, "nodad")


def asked4(place):
    """RFC 5227 2.1.1: who asks is told that it is ours."""
    with place.rival.inside():
        done = subprocess.run(["arping", "-D", "-q", "-c", "2", "-w", "3", "-I", "eth0", SERVER],
                              stdin=subprocess.DEVNULL, timeout=10)
    check(done.returncode == 1, "arping found nobody who has the address")
    transfers(place.server, place.client, "curl", SERVER)


def asked6(place):
    """RFC 4862 5.4: the kernel asks, and does not use it."""
    place.rival.ip("address", "add", SERVER6 + "/64", "dev", "eth0")

    def failed():
        return "dadfailed" in place.rival.ip("-6", "address", "show", "dev", "eth0", "to", SERVER6)
    try:
        until(failed, 5, "the kernel learns that the address is taken")
    finally:
        place.rival.ip("address", "flush", "dev", "eth0", "to", SERVER6)
    transfers(place.server, place.client, "curl", SERVER6)


TOPOLOGIES = [
    Topology("conflict", set_up, [
        Case("another host takes our IPv4 address", taken4),
        Case("another host wants our IPv4 address", asked4),
        Case("another host takes our IPv6 address", taken6),
        Case("another host wants our IPv6 address", asked6),
    ]),
]
