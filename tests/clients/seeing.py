"""What is connected: by the server, and by the kernel at the other end."""

import contextlib
import ftplib
import re
import signal
import subprocess
import time
from typing import NamedTuple

from lab import SERVER, check, run
from limits import log_in, refused, store, until
from start import serving

UPLOAD = 1_000_003


class Row(NamedTuple):
    """A line of the table that has a state."""
    protocol: str
    receive_queue: str
    send_queue: str
    local: str
    foreign: str
    state: str
    service: str
    received: str
    sent: str
    age: str
    account: str


def rows(told):
    return [Row(*line.split()) for line in re.findall(r"(?:^|\s)(tcp6? .*)$", told, re.M)]


def established(told, *but):
    found = [row for row in rows(told) if row.state == "ESTABLISHED" and row.account not in but]
    return {(row.local, row.foreign): row for row in found}


def kernel():
    """What the host's kernel has of the same: bytes that nobody has read, and all that came."""
    told = run("ss", "-Htni", "state", "established", "dst", SERVER)
    found = {}
    for line in re.sub(r"\n\s+", " ", told).splitlines():
        queue, _, local, foreign, *rest = line.split()
        came = re.search(r" bytes_received:(\d+)", " ".join(rest))
        found[foreign, local] = (int(queue), int(came[1]) if came else 0)
    return found


def by_site(_, admin):
    return admin.sendcmd("SITE NETSTAT")


def by_signal(lab, _):
    lab.server.send_signal(signal.SIGUSR1)
    until(lambda: " Proto Recv-Q Send-Q " in lab.log_since_mark(), "nothing was logged")
    time.sleep(0.5)
    check(lab.log_since_mark().count(" Proto Recv-Q Send-Q ") == 1, "it was logged twice")
    return lab.log_since_mark()


def at_both_ends(ask):
    """A download that is not read and an upload that pauses; what both ends say of them."""
    def play(lab):
        with log_in() as anna, log_in("reader") as reader, log_in("admin") as admin:
            store(anna, "file", bytes(2_000_000))
            upload = anna.transfercmd("STOR up")
            with reader.transfercmd("RETR anna/file") as download, upload:
                upload.sendall(bytes(UPLOAD))
                time.sleep(1)  # until the last byte is acknowledged
                compare(ask(lab, admin))
                check(len(download.makefile("rb").read()) == 2_000_000, "another file came")
            anna.voidresp()
            reader.voidresp()
            anna.delete("up")
            anna.delete("file")
    return play


def compare(told):
    # The reply is on its way while it is written: the session that asked is another matter.
    ours, theirs = established(told, "admin"), kernel()
    data = {row.account: row for row in ours.values() if row.service == "ftp-data"}
    check(sorted(data) == ["anna", "reader"], told)
    check(data["anna"].received == str(UPLOAD) and data["anna"].sent == "0", told)
    check(int(data["reader"].send_queue) > 0 and data["reader"].received == "0", told)
    control = sorted(row.account for row in ours.values() if row.service == "ftp")
    check(control == ["anna", "reader"], told)
    check(ours.keys() < theirs.keys() and len(theirs) == len(ours) + 1, f"{theirs}\n{told}")
    for ends, row in ours.items():
        queue, came = theirs[ends]
        check(int(row.sent) == came, f"{ends}: {came} bytes have come here:\n{told}")
        check(row is not data["reader"] or queue == came, f"{queue} of {came} are not read")
    listening = {row.local: row.service for row in rows(told) if row.state == "LISTEN"}
    check(listening.items() >= {("*:21", "ftp"), ("*:7", "echo")}, told)


def with_curl(_):
    words = ["curl", "-sSv", "--max-time", "20", "--head", "-Q", "SITE NETSTAT"]
    for user, code in [("admin", 0), ("slow", 21)]:
        done = subprocess.run([*words, f"ftp://{user}:secret@{SERVER}/"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30)
        said = done.stdout + done.stderr
        check(done.returncode == code, f"status {done.returncode}:\n{said}")
        told = "\n".join(line[2:] for line in said.replace("\r", "").splitlines())
        if code:
            check("\n550 " in told and "Proto" not in told, said)
        else:
            check("\n211-Connections:\n Proto Recv-Q " in told and "\n211 End\n" in told, said)
            check([row.account for row in established(told).values()] == ["admin"], said)
    with log_in("reader") as reader:
        refused(550, reader.sendcmd, "SITE NETSTAT")


def at_level(level, is_told):
    """Whoever sends the signal is told, unless nothing is logged; and the server goes on."""
    def play(lab):
        with contextlib.ExitStack() as end:
            server = end.enter_context(serving(lab, lab.binary, "--log-level", level))
            clients = [end.enter_context(contextlib.closing(ftplib.FTP(SERVER, timeout=20)))
                       for _ in range(100)]
            for _ in range(3):
                server.send_signal(signal.SIGUSR1)
                time.sleep(0.5)
            told = lab.log_since_mark()
            tables = told.count(" Proto Recv-Q Send-Q ")
            check(tables == (3 if is_told else 0), f"{tables} tables:\n{told}")
            there = [row for row in rows(told) if row.state == "ESTABLISHED"]
            check(len(there) == 100 * tables, told)
            for client in clients:
                check(client.sendcmd("NOOP") == "200 OK", "it does not go on")
            # One stop is not two.
            server.send_signal(signal.SIGUSR1)
            server.terminate()
            check(server.wait(10) == 0, f"ended with status {server.returncode}")
    return play


CASES = [
    ("limits", "seeing", "ftplib", "SITE NETSTAT at both ends", at_both_ends(by_site)),
    ("limits", "seeing", "signal", "SIGUSR1 at both ends", at_both_ends(by_signal)),
    ("limits", "seeing", "curl", "SITE NETSTAT and the right to it", with_curl),
    *(("none", "seeing", "signal", f"SIGUSR1 with --log-level {level}", at_level(level, is_told))
      for level, is_told in [("debug", True), ("info", True), ("error", True), ("off", False)]),
]
