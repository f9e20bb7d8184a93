"""6. tinyftp found by name, with mDNS (RFC 6762), and by what it serves, with DNS-SD (RFC 6763)."""

import json
import time
from typing import NamedTuple

import dhcp
from clients import AIOFTP as PYTHON
from daemons import Avahi, until
from lab import REPO, SERVER, SERVER6, Failure, check, same
from network import Bridge, Host, Server, end
from topology import Case, Skipped, Topology

DRIVER = REPO / "tests/topologies/zeroconf_driver.py"
SECOND, SECOND6 = "192.168.69.2", "fd00:69::2"
CLIENT, CLIENT6 = "192.168.69.100", "fd00:69::100"
OTHER = "192.168.69.101"
NAMES = NAME, SECOND_NAME = "tinyftp.local", "tinyftp-2.local"


class Place(NamedTuple):
    switch: Bridge
    client: Host
    other: Host
    avahi: Avahi  # on the client


def link(network, *taps):
    """A switch with these devices; a client with Avahi, and another host without."""
    switch, client, other = network.bridge("switch"), network.host("client"), network.host("other")
    for tap in taps:
        switch.tap(tap)
    switch.plug(client, "eth0", CLIENT + "/24", CLIENT6 + "/64")
    switch.plug(other, "eth0", OTHER + "/24")
    switch.capture(taps[0])
    return Place(switch, client, other, Avahi(client, "eth0", "client"))


def start(switch, *addresses, device="tap0", options=()):
    words = [f"--address={one}/{64 if ':' in one else 24}" for one in addresses]
    return Server(switch, *words, *options, device=device)


def resolved(avahi, name, *words):
    """The address that avahi-resolve tells."""
    line = avahi.tool("avahi-resolve", "-n", name, *words)
    check(line.startswith(name), f"avahi-resolve tells nothing of {name}: {line}")
    return line.split()[1].split("%")[0]


def resolves(avahi, name, address, seconds=15):
    """Until the name has this address, which may take some asking at the start."""
    family = "-6" if ":" in address else "-4"

    def found():
        return address in avahi.tool("avahi-resolve", "-n", name, family).split()
    until(found, seconds, f"{name} is {address}")


class Service(NamedTuple):
    name: str
    host: str
    address: str
    port: str
    text: str


def browsed(avahi):
    """The FTP servers that avahi-browse finds, once for each family."""
    lines = avahi.tool("avahi-browse", "--resolve", "--terminate", "--parsable", "_ftp._tcp")
    rows = [line.split(";") for line in lines.splitlines() if line.startswith("=")]
    return [Service(row[3], row[6], row[7], row[8], ";".join(row[9:])) for row in rows]


def zeroconf(host, address, seconds=2):
    try:
        host.run(PYTHON, "-c", "import zeroconf")
    except Failure:
        raise Skipped("zeroconf is not there: scripts/test.sh could not fetch it") from None
    words = host.run(PYTHON, "-B", DRIVER, address, seconds)
    return json.loads(words)


# One server, at an address of each family.

class One(NamedTuple):
    link: Place
    server: Server

    @property
    def addresses(self):
        """Those that the name stands for: with these, it need not do for that of the link."""
        return {SERVER, SERVER6}


def one(network):
    place = link(network, "tap0")
    server = start(place.switch, SERVER, SERVER6)
    server.wait(place.client, SERVER, SERVER6)
    resolves(place.avahi, NAME, SERVER)
    return One(place, server)


def by_name(place):
    avahi = place.link.avahi
    check(resolved(avahi, NAME, "-4") == SERVER, "another IPv4 address")
    check(resolved(avahi, NAME, "-6") in place.addresses, "another IPv6 address")


def by_address(place):
    for address in {*place.addresses, place.server.link_local}:
        line = place.link.avahi.tool("avahi-resolve", "-a", address)
        check(line.split()[1:] == [NAME], f"{address} is {line!r}")


def as_service(place):
    found = browsed(place.link.avahi)
    check(found, "avahi-browse has found no FTP server")
    for service in found:
        check(service.host == NAME and service.port == "21" and "tinyftp" in service.name
              and service.address in place.addresses, f"it tells {service}")
    return f"{found[0].name}, {found[0].text}"


def with_zeroconf(place):
    found = zeroconf(place.link.other, OTHER)
    check(len(found) == 1, f"it finds {found}")
    (name, service), = found.items()
    check(service["host"] == NAME + "." and service["port"] == 21, f"it tells {service}")
    told = {address.split("%")[0] for address in service["addresses"]}
    check(told == place.addresses, f"it tells {told} and not {place.addresses}")


def with_nss(place):
    """Like anybody on a machine with libnss-mdns: by name, of either family."""
    network, avahi = place.server.network, place.link.avahi
    there = place.server.root / "named.bin"
    there.write_bytes(b"named" * 20_000)
    back = network.local / "named"
    for family in ("-4", "-6"):
        avahi.run("curl", family, "-sS", "--max-time", "15", "-o", back, f"ftp://{NAME}/named.bin")
        check(same(there, back), "something else came")


def unknown(place):
    """Nobody has this name: it is not ours."""
    words = ["avahi-resolve", "-4", "-n", "tinyftp-99.local"]
    try:
        found = place.link.avahi.tool(*words)
    except Failure as error:
        found = str(error)
    check(SERVER not in found, f"somebody has that name: {found}")


def goodbye(place):
    """Who stops says so: the entry goes at once, and not when its time is over."""
    avahi, network = place.link.avahi, place.server.network
    log_file = network.base / "browse.log"
    with open(log_file, "wb") as log:
        browse = avahi.start_tool("avahi-browse", "--parsable", "_ftp._tcp", stdout=log)
    try:
        until(lambda: "+;eth0;IPv4" in log_file.read_text(), 5, "avahi-browse sees the server")
        begin = time.monotonic()
        end(place.server.process)
        for family in ("IPv4", "IPv6"):
            until(lambda: f"-;eth0;{family}" in log_file.read_text(), 5, f"{family} is taken away")
        seconds = time.monotonic() - begin
    finally:
        end(browse)
        network.servers.remove(place.server)
    try:
        words = avahi.tool("avahi-resolve", "-4", "-n", NAME)
    except Failure as error:
        words = str(error)
    check(SERVER not in words, f"the name is still known: {words}")
    return f"{seconds:.1f} s"


# Two servers of the same name.

class Two(NamedTuple):
    link: Place
    first: Server
    second: Server


def two(network):
    place = link(network, "tap0", "tap1")
    place.switch.capture("tap1")
    first = start(place.switch, SERVER, SERVER6)
    first.wait(place.client, SERVER)
    resolves(place.avahi, NAME, SERVER)
    second = start(place.switch, SECOND, SECOND6, device="tap1")
    second.wait(place.client, SECOND)
    return Two(place, first, second)


def renamed(place):
    avahi = place.link.avahi
    resolves(avahi, SECOND_NAME, SECOND)
    check(resolved(avahi, NAME, "-4") == SERVER, "the first has lost its name")
    check(resolved(avahi, SECOND_NAME, "-6") == SECOND6, "not its own")
    check(SECOND_NAME.split(".")[0] in place.second.log(everything=True), "our log has no word of it")


def both_found(place):
    found = {(service.host, service.address) for service in browsed(place.link.avahi)
             if ":" not in service.address}
    check(found == {(NAME, SERVER), (SECOND_NAME, SECOND)}, f"found were {found}")


def both_found_with_zeroconf(place):
    names = zeroconf(place.link.other, OTHER)
    hosts = {service["host"] for service in names.values()}
    check(hosts == {NAME + ".", SECOND_NAME + "."}, f"zeroconf finds {names}")


def same_start(network):
    """Both ask for the name at the same time: one of them gets it (RFC 6762 8.2)."""
    place = link(network, "tap0", "tap1")
    place.switch.capture("tap1")
    servers = [start(place.switch, SERVER, SERVER6),
               start(place.switch, SECOND, SECOND6, device="tap1")]
    for server, address in zip(servers, (SERVER, SECOND)):
        server.wait(place.client, address)
    return Two(place, *servers)


def each_has_one(place):
    avahi = place.link.avahi

    def found():
        try:
            return {resolved(avahi, name, "-4") for name in (NAME, SECOND_NAME)} == {SERVER, SECOND}
        except Exception:
            return False
    until(found, 25, "each has a name")


# Avahi has the name already.

class Taken(NamedTuple):
    link: Place
    server: Server


def taken(network):
    place = link(network, "tap0")
    Avahi(place.other, "eth0", "tinyftp")
    resolves(place.avahi, NAME, OTHER)
    server = start(place.switch, SERVER, SERVER6)
    server.wait(place.client, SERVER)
    return Taken(place, server)


def gives_way(place):
    avahi = place.link.avahi
    resolves(avahi, SECOND_NAME, SERVER)
    check(resolved(avahi, NAME, "-4") == OTHER, "Avahi has lost its name")
    check({service.host for service in browsed(avahi)} == {SECOND_NAME}, "announced by another name")


def own_name(network):
    place = link(network, "tap0")
    server = start(place.switch, SERVER, options=("--hostname", "archive"))
    server.wait(place.client, SERVER)
    return One(place, server)


def chosen_name(place):
    resolves(place.link.avahi, "archive.local", SERVER)
    check({service.host for service in browsed(place.link.avahi)} == {"archive.local"}, "another name")


# With an address from DHCP: the name follows it.

class Leased(NamedTuple):
    place: dhcp.Place
    avahi: Avahi


def leased(network):
    place = dhcp.with_dnsmasq("--address", "dhcp")(network)
    return Leased(place, Avahi(place.client, "eth0", "client"))


def follows(place):
    before = dhcp.running(place.place)
    resolves(place.avahi, NAME, before)
    place.place.dhcp.stop()
    begin = time.time()
    place.place.dhcp.start(*dhcp.SECOND_RANGE)
    until(lambda: dhcp.messages(place.place, "nak", since=begin), 15, "DHCPNAK")
    after = dhcp.leased(place.place, since=begin)
    resolves(place.avahi, NAME, after, seconds=10)
    time.sleep(1.5)  # RFC 6762 10.2: records that are replaced go after one second
    check(resolved(place.avahi, NAME, "-4") == after, f"{before} is still told")


TOPOLOGIES = [
    Topology("mdns", one, [
        Case("avahi-resolve by name", by_name),
        Case("avahi-resolve by address", by_address),
        Case("avahi-browse", as_service),
        Case("zeroconf", with_zeroconf),
        Case("curl by name, libnss-mdns", with_nss),
        Case("a name that nobody has", unknown),
        Case("goodbye", goodbye),
    ]),
    Topology("mdns two", two, [
        Case("the second renames itself", renamed),
        Case("both are found", both_found),
        Case("both are found by zeroconf", both_found_with_zeroconf),
    ]),
    Topology("mdns at once", same_start, [
        Case("each gets a name", each_has_one, 40),
    ]),
    Topology("mdns taken", taken, [
        Case("tinyftp gives way to Avahi", gives_way, 40),
    ]),
    Topology("mdns chosen", own_name, [
        Case("--hostname", chosen_name),
    ]),
    Topology("mdns dhcp", leased, [
        Case("the name follows the lease", follows, 60),
    ]),
]
