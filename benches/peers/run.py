#!/usr/bin/python3
"""tinyftp and other FTP servers in turn, in network namespaces that are made here and gone
afterwards; one table at the end. scripts/bench.sh fetches the servers and starts this.

    run.py [--quick] [--verify] [--rounds=N] [--idle=N] [SERVER]...

Without SERVERs, all of them are measured."""

import argparse
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True  # this may run as root in somebody's clone
sys.path.append(str(Path(__file__).resolve().parents[2] / "tests/clients"))

import lab
from experiments import EXPERIMENTS, FTPBENCH, Effort, Row, ftpbench
from ftp import Refused
from lab import MIB, REPO, Failure
from peers import PEERS
from place import Place
from results import Results, beside_lines, idle_lines, markdown
from servers import KernelEcho, Tinyftp
from verify import verify

WHOLE = Effort(rounds=5, seconds=2, large=1024 * MIB, idle=10_000)
QUICK = Effort(rounds=3, seconds=0.3, large=256 * MIB, idle=1_000)
FEW = 300  # idle connections, for what memory each of them takes
STEP = 100  # idle connections that are opened between two looks at what is left
IDLE_SECONDS = 120  # for opening them: some servers would take an hour
SPARE_DESCRIPTORS = 1_000  # of each process, besides those of idle connections
MEMORY_LEFT = 4 << 30  # bytes that idle connections have to leave free
MEMORY_ROWS = {FEW: Row(f"memory a session at {FEW} idle ones, bytes", True),
               "all": Row("memory a session with all of them, bytes", True)}


def allow_descriptors(count):
    """For this process and for those that it starts."""
    _, limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < count:
        raise Failure(f"a process may open {limit} files; {count} are needed (ulimit -n)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def available_memory():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise Failure("/proc/meminfo does not tell what is available")


def measure_in_turn(servers, effort, results):
    """Round after round, each experiment with each server; `servers` are by the name that they
    have in the results."""
    for experiment in EXPERIMENTS:
        if experiment.measure is ftpbench and not FTPBENCH.exists():
            say("ftpbench is not there: its rows are left out")
            continue
        taking_part = {name: server for name, server in servers.items()
                       if experiment.of in server.serves}
        # The first round touches what others find touched: it does not count.
        for round in range(effort.rounds + 1):
            for name, server in taking_part.items():
                values = experiment.measure(server, effort)
                server.check_alive()
                for row, value in zip(experiment.rows, values, strict=True):
                    if round:
                        results.add(row, name, value)


def measure_beside(place, kinds, effort):
    """All servers in turn."""
    servers, results = {kind.key: kind(place) for kind in kinds}, Results()
    try:
        measure_in_turn(servers, effort, results)
    finally:
        stop(servers)
    return results


def measure_idle(place, kind, effort, results):
    """A server without and with idle connections in turn; how many it took."""
    servers = {(kind.key, "idle"): kind(place)}
    try:
        taken = fill(servers[kind.key, "idle"], effort, results)
        servers[kind.key, "alone"] = kind(place)
        measure_in_turn(servers, effort, results)
    finally:
        stop(servers)
    return taken


def stop(servers):
    for server in servers.values():
        server.stop()


def fill(server, effort, results):
    """Opens idle connections as far as the server goes, and sees what memory they take."""
    name, before = (server.key, "idle"), server.memory()
    deadline, count, open_now = time.monotonic() + IDLE_SECONDS, 0, 0
    while count < effort.idle and open_now == count and time.monotonic() < deadline \
            and available_memory() > MEMORY_LEFT:
        count = min(count + STEP, effort.idle)
        open_now = server.hold(count)
        if open_now == FEW:
            results.add(MEMORY_ROWS[FEW], name, (server.memory() - before) / FEW)
    server.check_alive()
    if open_now:
        results.add(MEMORY_ROWS["all"], name, (server.memory() - before) / open_now)
    return open_now


def say(text):
    print(text, file=sys.stderr, flush=True)


def output(*command):
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.stdout.strip()


def machine():
    model = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text()
                  .splitlines() if line.startswith("model name")), os.uname().machine)
    commit = output("git", "-C", str(REPO), "-c", "safe.directory=*", "describe", "--always",
                    "--dirty")
    return (f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} x {model}, "
            f"Linux {os.uname().release}, tinyftp at {commit}")


def report(kinds, effort, beside, idle, taken):
    """All that was measured."""
    print(f"{machine()}; medians of {effort.rounds} rounds in turn; "
          f"the large file has {effort.large // MIB:,} MiB\n")
    others = [kind.key for kind in kinds if kind is not Tinyftp]
    heads = {kind.key: f"{kind.title} {kind.version()}" for kind in kinds}
    if Tinyftp in kinds:
        print("In brackets: how many times better tinyftp is.\n")
        print(markdown(["", heads[Tinyftp.key], "to the best of the others",
                        *(heads[key] for key in others)],
                       beside_lines(beside, Tinyftp.key, others)))
    if taken:
        print("\nWith idle connections beside it; in brackets: to the same server without. What the "
              "kernel keeps for sockets is not in the memory.\n")
        keys = list(heads)
        counts = ["idle connections", *(f"{taken[key]:,}" for key in keys)]
        print(markdown(["", *heads.values()], [counts, *idle_lines(idle, keys)]))


def verify_all(place, kinds):
    for kind in kinds:
        server = kind(place)
        try:
            verify(server)
        finally:
            server.stop()
        print(f"{kind.title} {kind.version()}: all that was transferred is the same", flush=True)


def measure_all(place, kinds, effort):
    say("all servers in turn")
    beside, idle, taken = measure_beside(place, kinds, effort), Results(), {}
    for kind in kinds if effort.idle else ():
        say(f"{kind.title} without and with idle connections in turn")
        taken[kind.key] = measure_idle(place, kind, effort, idle)
    report(kinds, effort, beside, idle, taken)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few minutes' worth")
    parser.add_argument("--verify", action="store_true", help="compare transfers, measure nothing")
    parser.add_argument("--rounds", type=int, metavar="N", help="that count, of each measurement")
    parser.add_argument("--idle", type=int, metavar="N", help="idle connections; 0: without them")
    parser.add_argument("--server", type=Path, metavar="BINARY", help="another tinyftp")
    parser.add_argument("servers", nargs="*", metavar="SERVER",
                        help="only these: " + ", ".join(kind.key for kind in (Tinyftp, *PEERS)))
    return parser.parse_args()


def chosen(names):
    """The echo server is always there: it is none that one would choose."""
    kinds = (Tinyftp, *PEERS)
    if unknown := set(names) - {kind.key for kind in kinds}:
        sys.exit(f"run.py: no such server: {', '.join(unknown)}")
    return [*(kind for kind in kinds if kind.key in names or not names), KernelEcho]


def main():
    options = arguments()
    kinds = chosen(options.servers)
    effort = QUICK if options.quick else WHOLE
    for name in ("rounds", "idle"):
        if (value := getattr(options, name)) is not None:
            effort = effort._replace(**{name: value})
    if options.server:
        Tinyftp.binary = options.server.resolve()
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    lab.enter_namespace()
    allow_descriptors(effort.idle + SPARE_DESCRIPTORS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    place = Place(effort.large)
    try:
        if options.verify:
            verify_all(place, kinds)
        else:
            measure_all(place, kinds, effort)
    finally:
        place.close()


if __name__ == "__main__":
    try:
        main()
    except (Failure, Refused) as failure:
        sys.exit(f"run.py: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
