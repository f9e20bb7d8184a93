"""Where everything runs: clients here, on one core, and each server on the other core, at the end
of a cable of its own. The files are on tmpfs."""

import itertools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab import MIB, REPO, digest, run

CLIENT_CORE, SERVER_CORE = 0, 1
# Thousands of short connections a second would soon have all ports wait for a minute, on either
# side; that wait would be all that is measured.
SPARING = {"ip_local_port_range": "1024 65535", "tcp_tw_reuse": "1", "tcp_max_tw_buckets": "1000"}
# The small file that every server has.
SMALL = bytes(range(256)) * 4


class Place:
    def __init__(self, large_size):
        """In namespaces of its own, for all mounts and processes to go with them."""
        run("mount", "-t", "tmpfs", "tmpfs", "/run")  # names of network namespaces
        self.base = Path(tempfile.mkdtemp(prefix="tinyftp-bench-"))
        run("mount", "-t", "tmpfs", "-o", "mode=755,size=16g", "tmpfs", self.base)
        os.sched_setaffinity(0, {CLIENT_CORE})
        run("ip", "link", "set", "dev", "lo", "up")
        # In this namespace as in those of the servers.
        for key, value in SPARING.items():
            Path("/proc/sys/net/ipv4", key).write_text(value)
        self.numbers = itertools.count(1)
        self.large, self.large_size = self.base / "large", large_size
        with open(self.large, "wb") as file:
            for _ in range(large_size // MIB):
                file.write(os.urandom(MIB))
        self.large.chmod(0o644)
        self.large_digest = digest(self.large)

    def close(self):
        run("umount", "-l", self.base)
        self.base.rmdir()

    def directories(self, name):
        """One for the files of a server, and one that it serves: what clients fetch is in it,
        and all may write to it."""
        number = next(self.numbers)
        files, root = (self.base / f"{name}-{number}{suffix}" for suffix in ("", ".root"))
        files.mkdir()
        root.mkdir()
        os.link(self.large, root / "large")
        (root / "small").write_bytes(SMALL)
        root.chmod(0o777)
        return files, root

    def remove(self, *directories):
        for directory in directories:
            shutil.rmtree(directory)

    def tap(self):
        """A device as a user has it: its name, and the address of the server on it."""
        number = next(self.numbers)
        device = f"tap{number}"
        run(REPO / "scripts/setup-tap.sh", "--tap", device, "--address", f"10.77.{number}.100/24")
        self._hurry(device)
        return device, f"10.77.{number}.1"

    def host(self):
        """At the end of a veth pair: its name, and the address of the server in it."""
        number = next(self.numbers)
        name, device = f"server{number}", f"veth{number}"
        run("ip", "netns", "add", name)
        settings = (f"net.ipv4.{key}={value}" for key, value in SPARING.items())
        run("ip", "netns", "exec", name, "sysctl", "--quiet", "--write", *settings)
        run("ip", "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "address", "add", f"10.77.{number}.100/24", "dev", device)
        run("ip", "link", "set", "dev", device, "up")
        self._hurry(device)
        for words in (("link", "set", "dev", "lo", "up"), ("link", "set", "dev", "eth0", "up"),
                      ("address", "add", f"10.77.{number}.1/24", "dev", "eth0")):
            run("ip", "-n", name, *words)
        return name, f"10.77.{number}.1"

    def _hurry(self, device):
        """The first question for a neighbor is lost while a device comes up."""
        Path(f"/proc/sys/net/ipv4/neigh/{device}/retrans_time_ms").write_text("50")


def start_on(core, command, **options):
    words = ["taskset", "--cpu-list", str(core), *map(str, command)]
    return subprocess.Popen(words, **options)
