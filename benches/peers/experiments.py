"""What is measured: numbers for a server, got in the same way from all of them."""

import re
import subprocess
import time
from typing import Callable, NamedTuple

import ftp
from lab import Failure, check
from place import SMALL
from peers import FETCHED

AT_ONCE = 300
ECHOED = b"0123456789abcdef"
FTPBENCH = FETCHED / "venv/bin/ftpbench"
FTPBENCH_SECONDS = 180


class Effort(NamedTuple):
    """How much of everything."""

    rounds: int
    seconds: float  # of each measurement whose length can be chosen
    large: int  # bytes of the large file
    idle: int  # connections


class Row(NamedTuple):
    title: str
    less_is_better: bool = False
    digits: int = 0


class Experiment(NamedTuple):
    of: str  # the service that it needs
    measure: Callable  # (server, effort) -> a number for each row; None if it could not be had
    rows: tuple


def a_second(action, seconds):
    """How often it can be done in a second."""
    count, begin = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - begin) < seconds:
        action()
        count += 1
    return count / elapsed


def curl(*words):
    """The seconds that it takes once it has logged in."""
    words = ["curl", "--silent", "--show-error", "--write-out", "%{time_total} %{time_pretransfer}",
             *map(str, words)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    check(done.returncode == 0, f"{' '.join(words)}: {done.stderr}")
    total, before = map(float, done.stdout.split())
    return total - before


def retrieve_large(server, effort):
    seconds = curl("--output", "/dev/null", server.uri("large", server.reader))
    return [effort.large / 1e6 / seconds]


def store_large(server, effort):
    stored = server.root / "large.stored"
    seconds = curl("--upload-file", server.place.large, server.uri(stored.name, server.writer))
    check(stored.stat().st_size == effort.large, f"{server.title} has not stored all of it")
    stored.unlink()
    return [effort.large / 1e6 / seconds]


def log_in_in_turn(server, effort):
    def log_in():
        session = ftp.Session(server.address)
        session.log_in(*server.reader)
        session.quit()

    return [a_second(log_in, effort.seconds)]


def log_in_at_once(server, _):
    begin = time.perf_counter()
    sessions = ftp.log_in_at_once(server.address, server.reader, AT_ONCE)
    seconds = time.perf_counter() - begin
    for session in sessions:
        session.quit()
    return [AT_ONCE / seconds]


def retrieve_small(server, effort):
    session = server.session()
    rate = a_second(lambda: session.retrieve(b"small"), effort.seconds)
    session.quit()
    return [rate]


def store_small(server, effort):
    session = server.session()
    rate = a_second(lambda: session.store(b"small.stored", SMALL), effort.seconds)
    session.quit()
    return [rate]


def echo(server, effort):
    """Round trips, in microseconds."""
    times = []
    with ftp.connect(server.address, 7) as connection:
        begin = time.perf_counter()
        while time.perf_counter() - begin < effort.seconds:
            asked = time.perf_counter_ns()
            connection.sendall(ECHOED)
            answer = connection.recv(64)
            times.append(time.perf_counter_ns() - asked)
            check(answer == ECHOED, f"{server.title} echoes something else")
    times.sort()
    return [times[len(times) * percent // 100] / 1e3 for percent in (50, 99)]


def ftpbench(server, _):
    """What it prints, as far as it gets: some servers do not survive all of it."""
    user, password = server.writer
    words = [FTPBENCH, "-H", server.address, "-u", user, "-p", password,
             "-b", "all", "-n", AT_ONCE, "-s", "1M"]
    try:
        done = subprocess.run(list(map(str, words)), capture_output=True, text=True,
                              timeout=FTPBENCH_SECONDS)
        printed, error = done.stdout, done.stderr
    except subprocess.TimeoutExpired as expired:
        printed, error = (expired.stdout or b"").decode(), "out of time"
    found = [value_of(printed, label) for label in FTPBENCH_LABELS]
    if None in found and server.key == "tinyftp":
        raise Failure(f"ftpbench: {printed}{error}")
    return found


def value_of(printed, label):
    found = re.search(rf"^{re.escape(label)} +([\d.]+) ", printed, re.MULTILINE)
    # Hundredths are all that it tells, and 0.00 has no ratio to anything.
    return max(float(found[1]), 0.005) if found else None


# How ftpbench calls it, and how the table does.
FTPBENCH_ROWS = {
    "STOR (client -> server)": Row("ftpbench: STOR, MB/s"),
    "RETR (server -> client)": Row("ftpbench: RETR, MB/s"),
    f"{AT_ONCE} concurrent clients (connect, login)":
        Row(f"ftpbench: {AT_ONCE} clients connect and log in, s", True, 2),
    f"STOR (1 file with {AT_ONCE} idle clients)": Row(f"ftpbench: STOR with {AT_ONCE} idle, MB/s"),
    f"RETR (1 file with {AT_ONCE} idle clients)": Row(f"ftpbench: RETR with {AT_ONCE} idle, MB/s"),
    f"{AT_ONCE} concurrent clients (RETR 1.0M file)":
        Row(f"ftpbench: {AT_ONCE} x RETR of 1 MiB, s", True, 2),
    f"{AT_ONCE} concurrent clients (STOR 1.0M file)":
        Row(f"ftpbench: {AT_ONCE} x STOR, s", True, 2),
    f"{AT_ONCE} concurrent clients (QUIT)": Row(f"ftpbench: {AT_ONCE} x QUIT, s", True, 2),
}
FTPBENCH_LABELS = tuple(FTPBENCH_ROWS)

EXPERIMENTS = (
    Experiment("ftp", retrieve_large, (Row("RETR of the large file, MB/s"),)),
    Experiment("ftp", store_large, (Row("STOR of the large file, MB/s"),)),
    Experiment("ftp", log_in_in_turn, (Row("logins/s, one after another"),)),
    Experiment("ftp", log_in_at_once, (Row(f"logins/s, {AT_ONCE} at once"),)),
    Experiment("ftp", retrieve_small, (Row("RETR of 1 KiB files/s"),)),
    Experiment("ftp", store_small, (Row("STOR of 1 KiB files/s"),)),
    Experiment("ftp", ftpbench, tuple(FTPBENCH_ROWS.values())),
    Experiment("echo", echo, (Row("echo, p50, us", True, 1), Row("echo, p99, us", True, 1))),
)
