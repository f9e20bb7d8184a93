"""The board in QEMU, and what a session sees of its disk."""

import ftplib
import io
import re
import signal
import subprocess
import time

import frames
from lab import REPO, SERVER, Failure, Place, check, run

DEFMT_ELF = REPO / "target/lm3s6965-defmt/thumbv7m-none-eabi/release/lm3s6965"
# Seconds that a step of a case may take.
PATIENCE = 15
# More than a buffer of the server has; twice as much goes on its disk.
CONTENT = bytes(i * 7 % 251 for i in range(5000))


class Board(Place):
    """The board, with its serial port in a file."""

    def __init__(self, base, name):
        super().__init__(base)
        self.name = name
        run(REPO / "scripts/setup-tap.sh")
        self.log = base / "log"
        self.start()
        # Bytes that go on its disk.
        self.room = available()

    def start(self, *options):
        with open(self.log, "wb") as log:
            command = [REPO / "scripts/run-qemu.sh", "--built", "--board", self.name, *options]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)
        deadline = time.monotonic() + PATIENCE
        while SERVER not in self.output():
            check(self.process.poll() is None and time.monotonic() < deadline,
                  f"it does not start:\n{self.output()}")
            time.sleep(0.1)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)

    def output(self):
        """What it said since it was started."""
        return self.log.read_text(errors="backslashreplace")

    def lines(self):
        """What it sent with defmt, but for the stack, which it measures at times of its own."""
        lines = frames.lines(self.log.read_bytes(), DEFMT_ELF)
        return [line for line in lines if not line.startswith("println stack: ")]

    def numbers(self, pattern):
        """Those in the last line of the output that matches."""
        found = re.findall(pattern, self.output())
        check(found, f"there is no line with {pattern}")
        return map(int, found[-1])

    def check_alive(self):
        check(self.process.poll() is None, "it has ended")
        check(not re.search("panicked|fault 0x", self.output()), "it could not go on")

    def check_empty(self):
        """That nothing is left on its disk, neither in sight nor out of it."""
        with connect() as ftp:
            check(names(ftp) == ["flash"], f"there is {names(ftp)}")
        free = available()
        check(free == self.room, f"{free} of {self.room} bytes are free")


def connect(address=""):
    """A session, from an address of ours if that is said."""
    ftp = ftplib.FTP(timeout=PATIENCE, source_address=(address, 0))
    # The last sessions may be about to end.
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            ftp.connect(SERVER)
            break
        except (ftplib.error_temp, ConnectionResetError):
            check(time.monotonic() < deadline, "no session is free")
            time.sleep(0.1)
    ftp.login()
    return ftp


def names(ftp):
    return sorted(name for name, _ in ftp.mlsd())


def fetch(ftp, path, rest=None):
    content = io.BytesIO()
    ftp.retrbinary(f"RETR {path}", content.write, rest=rest)
    return content.getvalue()


def lines_of(ftp, command):
    lines = []
    ftp.retrlines(command, lines.append)
    return lines


def refused(ftp, command):
    try:
        reply = ftp.sendcmd(command)
    except ftplib.error_perm:
        return
    raise Failure(f"{command}: {reply}")


# Each in a session of its own.

def store(path, content):
    with connect() as ftp:
        ftp.storbinary(f"STOR {path}", io.BytesIO(content))


def take(path):
    """What is in a file, which is deleted."""
    with connect() as ftp:
        content = fetch(ftp, path)
        ftp.delete(path)
    return content


def available():
    with connect() as ftp:
        return int(ftp.sendcmd("AVBL").split()[1])
