"""Networks to put tinyftp on: hosts, routers and bridges, each in a network namespace of its own.

A `Network` has all of one topology, and ends all of it with `close`."""

import contextlib
import ctypes
import itertools
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from captures import Capture
from lab import PASSWORD, USER, Failure, Place, check, install, run

RUN = Path("/run")
CLONE_NEWNET = 0x40000000
START_SECONDS = 30
libc = ctypes.CDLL(None, use_errno=True)


def hide_run():
    """Has /run to ourselves: namespaces have their names there, and nothing of it stays."""
    run("mount", "-t", "tmpfs", "-o", "mode=755,size=1g", "tmpfs", RUN)


def enter(namespace):
    if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Network(Place):
    """It is the place of a `clients.Session`, too."""

    def __init__(self, name, binary, offload):
        self.name, self.offload = name.replace(" ", "-"), offload
        base = RUN / f"tinyftp-{self.name}"
        base.mkdir()
        super().__init__(base)
        self.binary = install(binary, base, offload)
        self.processes, self.captures, self.servers = [], [], []

    def host(self, name):
        return Host(self, name)

    def router(self, name):
        return Router(self, name)

    def bridge(self, name):
        return Bridge(self, name)

    def link(self, one, device, other, other_device):
        """A cable between two hosts."""
        one.ip("link", "add", device, "type", "veth",
               "peer", "name", other_device, "netns", other.namespace)
        one.bring_up(device)
        other.bring_up(other_device)

    def check_alive(self):
        for server in self.servers:
            server.check_alive()

    def close(self):
        for process in reversed(self.processes):
            end(process)
        for namespace in run("ip", "netns", "list").split("\n"):
            if namespace.startswith(self.name + "."):
                run("ip", "netns", "delete", namespace.split()[0])
        shutil.rmtree(self.base)  # /run has to do for all of them


def end(process, number=signal.SIGTERM):
    """Has it end; its status."""
    if process.poll() is None:
        process.send_signal(number)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


class Host:
    def __init__(self, network, name):
        self.network, self.name = network, name
        self.namespace = f"{network.name}.{name}"
        run("ip", "netns", "add", self.namespace)
        self.ip("link", "set", "dev", "lo", "up")
        # Addresses are in use at once, and nobody asks for routers who was not told to.
        for key in ("accept_dad", "router_solicitations"):
            self.set(f"ipv6/conf/default/{key}", 0)

    def __str__(self):
        return self.name

    @contextlib.contextmanager
    def inside(self):
        """In the block this thread is on the host, and so is what it starts: sockets of this
        program, programs, threads. Only `run` and `start` give programs the host's /sys."""
        with open("/proc/thread-self/ns/net") as before, \
                open(RUN / "netns" / self.namespace) as here:
            enter(here)
            try:
                yield
            finally:
                enter(before)

    def run(self, *command, **options):
        """A command that has to work, on this host; what it prints."""
        return run("ip", "netns", "exec", self.namespace, *command, **options)

    def start(self, *command, **options):
        """A program that runs on this host until the network is closed."""
        words = ["ip", "netns", "exec", self.namespace, *map(str, command)]
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(words, cwd=self.network.base, **options)
        self.network.processes.append(process)
        return process

    def ip(self, *words):
        return run("ip", "-n", self.namespace, *words)

    def set(self, key, value):
        """A setting of the kernel's, below /proc/sys/net."""
        with self.inside():
            Path("/proc/sys/net", key).write_text(str(value))

    def tap(self, device="tap0", mtu=1500):
        """A TAP device, as scripts/setup-tap.sh makes it, but without an address."""
        self.ip("tuntap", "add", "dev", device, "mode", "tap")
        self.ip("link", "set", "dev", device, "mtu", str(mtu))
        self.ip("link", "set", "dev", device, "up")
        self.ask_soon(device)

    def bring_up(self, device):
        """Frames leave it as on a wire: one at a time, with their checksums in them."""
        self.ip("link", "set", "dev", device, "up")
        self.run("ethtool", "-K", device, "tx", "off", "gso", "off", "gro", "off")
        self.ask_soon(device)

    def ask_soon(self, device):
        """The first questions after a start, lost while a TAP device comes up, are soon asked
        again."""
        for family in ("ipv4", "ipv6"):
            with contextlib.suppress(FileNotFoundError):  # there is no IPv6 at an MTU below 1280
                self.set(f"{family}/neigh/{device}/retrans_time_ms", 50)

    def address(self, device, *cidrs):
        for cidr in cidrs:
            options = ["nodad"] if ":" in cidr else []
            self.ip("address", "add", cidr, "dev", device, *options)

    def route(self, destination, via):
        """Both of one family; "default" stands for every destination."""
        family = "-6" if ":" in via else "-4"
        self.ip(family, "route", "add", destination, "via", via)

    def hardware_address(self, device):
        return re.search(r"link/ether (\S+)", self.ip("-o", "link", "show", "dev", device))[1]

    def capture(self, device):
        """Every frame on the device from now on; checked when the network has been used."""
        recorder = self.record(device) if self.is_tap(device) else (self, device)
        capture = Capture(self, device, *recorder)
        self.network.captures.append(capture)
        return capture

    def is_tap(self, device):
        return " tun type tap " in self.ip("-d", "-o", "link", "show", "dev", device)

    def record(self, device):
        """On a TAP device with offload, frames are longer than the MTU, and their checksums are not
        whole. What comes and goes there goes over a cable as well, to a host that nobody hears
        of: on it, they are as they would be anywhere else."""
        recorder, cable = Host(self.network, f"{self.name}-{device}"), f"{device}-tape"
        self.network.link(self, cable, recorder, "tape")
        for host, end in ((self, cable), (recorder, "tape")):
            host.ip("link", "set", "dev", end, "mtu", "65535", "arp", "off")
            host.set(f"ipv6/conf/{end}/disable_ipv6", 1)
        chains = (f'chain {way} {{ type filter hook {way} device "{device}" priority 0; '
                  f'dup to "{cable}"; }}' for way in ("ingress", "egress"))
        self.filter("\n".join([f"table netdev tape_{device} {{", *chains, "}"]))
        return recorder, "tape"

    def filter(self, rules):
        """What nft makes of them."""
        file = self.network.base / f"{self.name}.nft"
        file.write_text(rules)
        self.run("nft", "-f", file)

    def ping(self, address, *options):
        words = self.run("ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", *options, address)
        check(" 0% packet loss" in words, words)


class Router(Host):
    def __init__(self, network, name):
        super().__init__(network, name)
        self.set("ipv4/ip_forward", 1)
        self.set("ipv6/conf/all/forwarding", 1)


class Bridge(Host):
    """An Ethernet switch. It has no addresses of its own."""

    def __init__(self, network, name, device="br0", mtu=1500):
        super().__init__(network, name)
        self.device, self.ports = device, itertools.count(1)
        self.set("ipv6/conf/default/disable_ipv6", 1)
        self.ip("link", "add", device, "mtu", str(mtu), "type", "bridge")
        self.bring_up(device)

    def plug(self, host, device, *cidrs):
        """A cable from the switch to a device of the host, which gets the addresses."""
        port = f"port{next(self.ports)}"
        self.network.link(self, port, host, device)
        self.ip("link", "set", "dev", port, "master", self.device)
        host.address(device, *cidrs)

    def tap(self, device="tap0", mtu=1500):
        super().tap(device, mtu)
        self.ip("link", "set", "dev", device, "master", self.device)


class Server:
    """tinyftp on a TAP device of a host, with a directory `root` of its own to serve."""

    def __init__(self, host, *options, device="tap0"):
        self.network = host.network
        name = f"{host.name}-{device}-{len(self.network.servers)}"
        self.root = self.network.base / f"root-{name}"
        self.root.mkdir()
        self.log_file = self.network.base / f"{name}.log"
        self.log_mark = 0
        with open(self.log_file, "wb") as log:
            self.process = host.start(
                self.network.binary, "--tap", device, "--root", self.root, "--anonymous", "ro",
                "--user", f"{USER}:{PASSWORD}", *options, stdout=log, stderr=log)
        self.network.servers.append(self)

    def wait(self, client, *addresses, port=21):
        """Until a client gets the greeting at each of the addresses."""
        with client.inside():
            for address in addresses:
                self._wait_for(address, port)

    def settle(self, neighbor, device):
        """Until the last address is there, the link-local one, which is probed for a second.
        Before that, neighbors with such addresses get no answers; with it, neighbors are asked
        for anew."""
        self.wait(neighbor, f"{self.link_local}%{device}")

    def _wait_for(self, address, port):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check_alive()
            try:
                with socket.create_connection((address, port), timeout=1) as greeting:
                    greeting.recv(1)
                return
            except OSError:
                time.sleep(0.05)
        raise Failure(f"no answer at {address}, port {port}, within {START_SECONDS} s")

    @property
    def hardware_address(self):
        """As the server's first line tells it."""
        found = re.search(r"hardware address (\S+)", self.log(everything=True))
        check(found, "the server does not tell its hardware address")
        return found[1].replace("-", ":").lower()

    @property
    def link_local(self):
        """RFC 4291 2.5.6 and appendix A: from the hardware address."""
        octets = bytes.fromhex(self.hardware_address.replace(":", ""))
        identifier = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
        return socket.inet_ntop(socket.AF_INET6, b"\xfe\x80" + bytes(6) + identifier)

    def check_alive(self):
        status = self.process.poll()
        check(status is None, f"the server ended with status {status}")
        check("panicked" not in self.log(), "a part of the server panicked")

    def mark(self):
        """What is logged from here on is what `log` tells."""
        self.log_mark = self.log_file.stat().st_size

    def log(self, everything=False):
        with open(self.log_file, "rb") as log:
            log.seek(0 if everything else self.log_mark)
            return log.read().decode(errors="backslashreplace")
