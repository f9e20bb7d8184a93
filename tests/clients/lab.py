"""The place the cases run in: a network namespace, a TAP device, files, one server."""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BINARY = REPO / "target/release/tinyftp"

SERVER, SERVER6 = "192.168.69.1", "fd00:69::1"
HOST, HOST6 = "192.168.69.100", "fd00:69::100"
OTHER = "192.168.69.101"  # a second address of the host
USER, PASSWORD = "anna", "secret"

MIB = 1 << 20


class Failure(Exception):
    """A case did not go as it should."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def out_of_time(*_):
    raise Failure("out of time")


def attempt(seconds, place, play, *arguments):
    """What `play` returns, and why it failed, if it did: it has so many seconds, and what it starts
    in a place, if there is one, has no more."""
    signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(seconds)
    if place:
        place.deadline = time.monotonic() + seconds
    try:
        return play(*arguments), None
    except Failure as failure:
        return None, str(failure)
    except Exception:
        return None, traceback.format_exc()
    finally:
        signal.alarm(0)


def end_with(main):
    """Ends the program with what `main` returns, or with a line that says why it cannot."""
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"run.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)


def require(programs):
    """Ends the program if one of these is not there: no case is left out for that."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    missing = sorted(p for p in set(map(str, programs))
                     if not shutil.which(p, path=path) and not os.path.isdir(p))
    if missing:
        sys.exit(f"run.py: not there: {', '.join(missing)}; scripts/test.sh fetches what it needs")


def enter_namespace():
    """Starts this program again where it can break nothing: its own network, mounts and processes.

    All of it goes when the program ends, however it ends."""
    here = os.readlink("/proc/self/ns/net")
    outside = os.environ.get("TINYFTP_OUTSIDE")
    if outside and outside != here:
        return
    if os.getuid() != 0:
        sys.exit("run.py: run this as root: it makes a network namespace and a TAP device")
    if outside:
        sys.exit("run.py: unshare did not make a network namespace")
    os.environ["TINYFTP_OUTSIDE"] = here
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    os.execvp("unshare", unshare + [sys.executable, *sys.argv])


def install(binary, directory, offload):
    """A copy of the program, started with --offload as said, if that is said; where it is."""
    program = directory / "tinyftp"
    if not offload:
        return Path(shutil.copy(binary, program))
    shutil.copy(binary, directory / "tinyftp-itself")
    program.write_text(f"""#!/bin/sh
case " $* " in *" --offload "*) exec {program}-itself "$@" ;; esac
exec {program}-itself --offload {offload} "$@"
""")
    program.chmod(0o755)
    return program


class Place:
    """Where clients run: their directory `local`, and how long they may take."""

    def __init__(self, base):
        self.base = base
        self.local, self.home = base / "local", base / "home"
        for directory in (self.local, self.home):
            directory.mkdir()
        self.deadline = 0

    def environment(self):
        return {"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "HOME": str(self.home),
                "LC_ALL": "C.UTF-8", "TERM": "dumb"}

    def seconds_left(self):
        """For a client, so that what it printed can still be shown."""
        return max(1, self.deadline - time.monotonic() - 2)

    def write(self, name, content):
        """A file of the client's, to be sent."""
        path = self.local / name
        path.write_bytes(content)
        return path


class Lab(Place):
    """One server at a time, with a directory `root` of its own."""

    def __init__(self, binary, offload):
        base = Path(tempfile.mkdtemp(prefix="tinyftp-clients-"))
        run("mount", "-t", "tmpfs", "-o", "mode=755,size=2g", "tmpfs", base)
        super().__init__(base)
        self.binary = install(binary, base, offload)
        self.root = base / "root"
        self.root.mkdir()
        self.server = None
        self.kind = None
        self.log = open(self.base / "server.log", "wb+")
        self.log_mark = 0
        self._network()
        self.large = self.base / "large"
        with open(self.large, "wb") as file:
            for _ in range(100):
                file.write(os.urandom(MIB))
        self.large_sum = digest(self.large)

    def _network(self):
        run("ip", "link", "set", "dev", "lo", "up")
        run(REPO / "scripts/setup-tap.sh", "--address6", HOST6 + "/64")
        # The first frames after a start are lost while the device comes up: ask again soon.
        for family in ("ipv4", "ipv6"):
            Path(f"/proc/sys/net/{family}/neigh/tap0/retrans_time_ms").write_text("50")
        run("ip", "addr", "add", OTHER + "/24", "dev", "tap0")

    def own_tun(self, mode):
        """A node of /dev/net/tun with the given permissions, for this namespace alone."""
        node = self.base / "tun"
        if not node.exists():
            os.mknod(node, 0o600 | 0o020000, os.makedev(10, 200))
            run("mount", "--bind", node, "/dev/net/tun")
        os.chmod(node, mode)

    def close(self):
        self.stop()
        subprocess.run(["umount", "-l", self.base], stderr=subprocess.DEVNULL)
        os.rmdir(self.base)

    def use(self, kind, arguments):
        """Has the server of this kind running, if any, and the directories empty."""
        self.log_mark = os.fstat(self.log.fileno()).st_size
        alive = self.server and self.server.poll() is None
        if not alive or self.kind != kind:
            self.stop()
        self.clear()
        if arguments is not None and not self.server:
            self.start(kind, arguments)

    def start(self, kind, arguments):
        command = [self.binary, *(str(a).replace("ROOT", str(self.root)) for a in arguments)]
        only_ipv6 = "--address" in command and SERVER + "/24" not in command
        address = SERVER6 if only_ipv6 else SERVER
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                       stderr=self.log, cwd=self.base, env=self.environment())
        self.kind = kind
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            if self.server.poll() is not None:
                raise Failure(f"the server ended at once with status {self.server.returncode}")
            try:
                with socket.create_connection((address, 21), timeout=1) as greeting:
                    greeting.recv(1)
                return
            except OSError:
                time.sleep(0.05)
        raise Failure("the server did not answer on port 21 within 10 s")

    def check_alive(self):
        if self.server and self.server.poll() is not None:
            raise Failure(f"the server ended with status {self.server.returncode}")
        check("panicked" not in self.log_since_mark(), "a part of the server panicked")

    def stop(self):
        if self.server and self.server.poll() is None:
            self.server.send_signal(signal.SIGTERM)
            try:
                self.server.wait(5)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        self.server = None

    def clear(self):
        for directory in (self.root, self.local):
            for path in directory.iterdir():
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def log_since_mark(self):
        with open(self.log.name, "rb") as log:
            log.seek(self.log_mark)
            return log.read().decode(errors="backslashreplace")


def run(*command, **options):
    """A command that has to work."""
    options.setdefault("timeout", 30)
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, **options)
    check(done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}".strip())
    return done.stdout


def digest(path):
    total = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(MIB):
            total.update(block)
    return total.hexdigest()


def same(one, other):
    return digest(one) == digest(other)
