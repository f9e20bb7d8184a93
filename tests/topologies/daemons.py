"""Servers of other people's: DHCP, router advertisements, mDNS. Each runs on one host of a network.

Debian's packages of some of them would start a daemon on this machine, too. They are unpacked by
scripts/test.sh, and not installed."""

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lab import REPO, Failure, check
from network import end

UNPACKED = REPO / "target/clients/unpacked"
RADVD = UNPACKED / "usr/sbin/radvd"
AVAHI = UNPACKED / "usr/sbin/avahi-daemon"
FETCHED = (RADVD, AVAHI)
PROGRAMS = ("arping", "busybox", "dbus-daemon", "dnsmasq")


def until(found, seconds, what):
    """Looks again and again until there is something; it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if something := found():
            return something
        time.sleep(0.1)
    raise Failure(f"{what}: not within {seconds} s")


def libraries():
    """Where the unpacked packages have them."""
    places = [*UNPACKED.glob("lib/*-linux-*"), *UNPACKED.glob("usr/lib/*-linux-*")]
    return ":".join(map(str, places))


class Daemon:
    """A program in the foreground that is started, stopped and started again, with its files in a
    directory of its own. What it prints is in `log`."""

    def __init__(self, host, name):
        self.host, self.name = host, name
        self.directory = host.network.base / f"{host.name}-{name}"
        self.directory.mkdir()
        self.log_file = self.directory / "log"
        self.process = None

    def file(self, name, content):
        path = self.directory / name
        path.write_text(content)
        return path

    def launch(self, *command, **options):
        with open(self.log_file, "ab") as log:
            self.process = self.host.start(*command, stdout=log, stderr=log, **options)

    def log(self):
        return self.log_file.read_text(errors="backslashreplace")

    def stop(self, number=signal.SIGTERM):
        status = self.process.poll()
        check(status is None, f"{self.name} had ended with status {status}:\n{self.log()}")
        end(self.process, number)
        self.process = None

    def kill(self):
        """It says nothing any more, not even that it ends."""
        self.stop(signal.SIGKILL)

    @property
    def runs(self):
        return self.process is not None


class Dnsmasq(Daemon):
    """A DHCP server. Leases have two minutes, the least that it gives; they are to be renewed
    after 3 s, and of any server after 6 s. With records it is a DNS server, too."""

    def __init__(self, host, device, *settings, records=()):
        super().__init__(host, "dnsmasq")
        self.settings = [
            f"port={53 if records else 0}", "no-resolv", "no-hosts", *records,
            f"interface={device}", "bind-interfaces", "user=root", "pid-file=",
            "log-facility=-", "no-ping", "dhcp-authoritative",
            "dhcp-option=option:T1,3", "dhcp-option=option:T2,6", *settings,
        ]

    def start(self, first, last):
        """With these addresses to give. It knows of none that it gave before."""
        leases = self.file("leases", "")
        lines = [*self.settings, f"dhcp-range={first},{last},2m", f"dhcp-leasefile={leases}"]
        file = self.file("conf", "\n".join(lines) + "\n")
        self.launch("dnsmasq", "--keep-in-foreground", f"--conf-file={file}")

    def messages(self, kind):
        """The addresses in all messages of the kind that it has logged."""
        return re.findall(rf"{kind}\(\S+\) ([\d.]+)", self.log())


class Udhcpd(Daemon):
    """A DHCP server whose leases are as short as one likes."""

    def __init__(self, host, device, first, last, seconds):
        super().__init__(host, "udhcpd")
        self.conf = self.file("conf", "\n".join([
            f"interface {device}", f"start {first}", f"end {last}", "min_lease 1",
            f"option lease {seconds}", "option subnet 255.255.255.0",
            f"lease_file {self.file('leases', '')}", f"pidfile {self.directory / 'pid'}",
        ]) + "\n")

    def start(self):
        self.launch("busybox", "udhcpd", "-f", self.conf)


class Radvd(Daemon):
    """Advertises its host as a router every few seconds, and a prefix to make addresses of."""

    def __init__(self, host, device, prefix, router_lifetime, prefix_lifetime):
        super().__init__(host, "radvd")
        self.conf = self.file("conf", f"""
            interface {device} {{
                AdvSendAdvert on;
                MinRtrAdvInterval 3;
                MaxRtrAdvInterval 4;
                AdvDefaultLifetime {router_lifetime};
                prefix {prefix} {{
                    AdvValidLifetime {prefix_lifetime};
                    AdvPreferredLifetime {prefix_lifetime};
                }};
            }};""")

    def start(self):
        self.launch(RADVD, "--nodaemon", "--config", self.conf, "--logmethod", "stderr",
                    "--pidfile", self.directory / "pid")


# Its own, so that any number of them run: each with a bus, a directory and a user of that name.
BUS = """<busconfig>
<listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/>
<allow send_destination="*"/><allow receive_sender="*"/></policy>
</busconfig>"""
AVAHI_CONF = """[server]
host-name={name}
allow-interfaces={device}
[publish]
publish-workstation=no
[rlimits]
"""
PREPARED = """
for file in passwd group nsswitch.conf; do mount --bind {directory}/$file /etc/$file; done
mount --bind {directory}/run /run/avahi-daemon
exec "$@"
"""


class Avahi(Daemon):
    """The mDNS responder of most Linux machines, and its programs that ask it."""

    def __init__(self, host, device, name):
        super().__init__(host, "avahi")
        self.bus = self.directory / "bus"
        self._system_files()
        bus_conf = self.file("bus.conf", BUS.format(path=self.bus))
        conf = self.file("conf", AVAHI_CONF.format(name=name, device=device))
        host.start("dbus-daemon", f"--config-file={bus_conf}", "--nofork", "--nopidfile",
                   stderr=subprocess.DEVNULL)
        until(self.bus.exists, 5, "dbus-daemon listens")
        self.launch(*self._prepared(AVAHI, "--file", conf, "--no-drop-root", "--no-chroot"),
                    env=self._environment())
        until(lambda: "startup complete" in self.log(), 10, "avahi-daemon is ready")

    def _system_files(self):
        """As they are where the package is installed, and libnss-mdns."""
        Path("/run/avahi-daemon").mkdir(exist_ok=True)
        (self.directory / "run").mkdir()
        for name, line in (("passwd", "avahi:x:65533:65533::/:/bin/false"),
                           ("group", "avahi:x:65533:")):
            self.file(name, Path("/etc", name).read_text() + line + "\n")
        self.file("nsswitch.conf", "hosts: files mdns_minimal [NOTFOUND=return] dns\n")

    def _prepared(self, *command):
        script = PREPARED.format(directory=self.directory)
        return ["sh", "-ec", script, "sh", *map(str, command)]

    def _environment(self):
        return {**self.host.network.environment(), "LD_LIBRARY_PATH": libraries(),
                "DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self.bus}"}

    def run(self, *command, **options):
        """A command that has to work, where the C library looks names up with mDNS, too."""
        return self.host.run(*self._prepared(*command), env=self._environment(), **options)

    def tool(self, program, *words, timeout=15):
        """What one of Avahi's programs prints, which has to work."""
        return self.run(UNPACKED / "usr/bin" / program, *words, timeout=timeout)

    def start_tool(self, program, *words, **options):
        """One that goes on, such as avahi-publish."""
        command = self._prepared(UNPACKED / "usr/bin" / program, *words)
        return self.host.start(*command, env=self._environment(), **options)
