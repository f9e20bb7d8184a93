"""What a server is here; tinyftp; and the echo server that it is compared to.

Each is started in the foreground, with a directory that everybody may read and write, no limit to
connections, no end to idle ones, and nothing logged."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import ftp
from lab import REPO, Failure, check
from place import CLIENT_CORE, SERVER_CORE, start_on

HERE = Path(__file__).parent
START_SECONDS = 20
DAY = 24 * 60 * 60
MANY = 12_000  # sessions at once: more than are wanted


class Server:
    """One that runs. A class of it says how it is started, and what it is called."""

    port = 21
    serves = ("ftp",)
    reader = writer = ("anonymous", "bench@example.com")  # the accounts that fetch, and that store

    def __init__(self, place):
        self.place = place
        self.files, self.root = place.directories(self.key)
        self.log = self.files / "log"
        self.holder = None
        self.launch()
        self.wait()

    def launch(self):
        """On a host of its own."""
        host, self.address = self.place.host()
        self.start("ip", "netns", "exec", host, *self.command())

    def start(self, *command):
        with open(self.log, "wb") as log:
            self.process = start_on(SERVER_CORE, command, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, cwd=self.files, env=self.environment())

    def environment(self):
        return dict(os.environ)

    def file(self, name, content):
        path = self.files / name
        path.write_text(content)
        return path

    def wait(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            self.check_alive()
            try:
                with socket.create_connection((self.address, self.port), timeout=1):
                    return
            except OSError:
                time.sleep(0.05)
        raise Failure(f"{self.title} does not answer:\n{self.log_text()}")

    def log_text(self):
        return self.log.read_text(errors="backslashreplace")[-4000:]

    def check_alive(self):
        status = self.process.poll()
        check(status is None, f"{self.title} has ended with status {status}:\n{self.log_text()}")

    def session(self):
        """A client's that may store."""
        session = ftp.Session(self.address)
        session.log_in(*self.writer)
        session.say(b"TYPE I", b"200")
        return session

    def uri(self, name, account):
        user, password = account
        return f"ftp://{user}:{password.replace('@', '%40')}@{self.address}/{name}"

    def hold(self, count):
        """Has so many idle connections open, or as many as the server takes; how many."""
        if not self.holder:
            account = self.reader if "ftp" in self.serves else ()
            self.holder = start_on(
                CLIENT_CORE, [sys.executable, HERE / "idle.py", self.address, self.port, *account],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        print(count, file=self.holder.stdin, flush=True)
        answer = self.holder.stdout.readline()
        check(answer, f"{self.title}: nobody holds its idle connections any more")
        return int(answer)

    def memory(self):
        """Resident bytes of all its processes; pages that they share count once."""
        return sum(share_of_memory(pid) for pid in family(self.process.pid))

    def stop(self):
        if self.holder:
            self.holder.kill()
            self.holder.wait()
        for pid in family(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
        self.place.remove(self.files, self.root)


def family(pid):
    """A process and all that descend from it."""
    with contextlib.suppress(OSError):  # it has ended meanwhile
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(one for child in children for one in family(int(child)))]
    return []


def share_of_memory(pid):
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has ended meanwhile
        return 0
    return 1024 * int(re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[1])


def told_version(*command, **options):
    """What a program that is asked for its version says that looks like one."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, **options)
    found = re.search(r"\d+\.\d+(\.\d+\w*)?", done.stdout + done.stderr)
    return found[0] if found else "?"


class Tinyftp(Server):
    key = title = "tinyftp"
    binary = REPO / "target/release/tinyftp"
    serves = ("ftp", "echo")

    def launch(self):
        """On a TAP device of the client's host."""
        device, self.address = self.place.tap()
        self.start(self.binary, "--tap", device, "--address", f"{self.address}/24",
                   "--root", self.root, "--anonymous", "rw", "--no-mdns", "--log-level", "warn",
                   "--max-sessions", MANY, "--max-transfers", 320, "--idle-timeout", DAY)

    @classmethod
    def version(cls):
        return told_version(cls.binary, "--version")


class KernelEcho(Server):
    """No FTP server: one that echoes over sockets of the kernel."""

    key, title = "kernel-echo", "kernel sockets"
    binary = REPO / "target/release/examples/kernel_echo"
    port = 7
    serves = ("echo",)

    def command(self):
        return self.binary, f"{self.address}:{self.port}"

    @classmethod
    def version(cls):
        return os.uname().release
