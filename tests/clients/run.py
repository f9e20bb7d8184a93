#!/usr/bin/python3
"""Real clients against the real server, in a network namespace of its own.

    run.py [--server BINARY] [--offload on|off] [--list] [WORD]...

Plays the cases whose line has every WORD in it; all of them when there is none."""

import argparse
import functools
import os
import signal
import sys
import time
from typing import Callable, NamedTuple

sys.dont_write_bytecode = True  # this may run as root in somebody's clone

import lab
import table
from clients import CLIENTS, PROGRAMS, Session
from files import SCENARIOS
from lab import SERVER, SERVER6, Lab

# The servers: what the program is started with. Their cases are played in this order, because
# a start takes a second until the device is up.
BOTH = ["--address", SERVER + "/24", "--address", SERVER6 + "/64"]
KINDS = {
    "files": [*BOTH, "--root", "ROOT", "--user", "anna:secret", "--anonymous", "ro"],
    "plain": [],
    "tight": ["--max-sessions", "3", "--idle-timeout", "2"],
    "limits": ["--accounts", lab.REPO / "tests/clients/accounts.toml", "--max-per-address", "6"],
    "ipv6": ["--address", SERVER6 + "/64"],
    "none": None,  # no server
}


class Case(NamedTuple):
    server: str  # of KINDS
    who: str
    mode: str
    name: str
    play: Callable  # (lab)
    seconds: int = 60

    def __str__(self):
        return f"{self.who:14} {self.mode:7} {self.name}"


def client_cases():
    for who, client in CLIENTS.items():
        ways = [(SERVER, "", mode) for mode in client.modes]
        ways += [(SERVER6, "6", mode) for mode in client.modes6]
        for scenario in SCENARIOS:
            if not set(scenario.needs) <= set(client.can):
                continue
            for address, suffix, mode in ways if scenario.every_mode else ways[:1]:
                play = functools.partial(play_client, scenario.play, who, mode, address)
                yield Case(scenario.server, who, mode + suffix, scenario.name, play,
                           scenario.seconds)


def play_client(scenario, who, mode, address, lab):
    scenario(who, Session(lab, mode, address))


def all_cases():
    import attacks
    import disks
    import limits
    import scale
    import scan
    import seeing
    import start
    import wire
    yield from client_cases()
    for module in (wire, attacks, limits, disks, scale, scan, seeing, start):
        for row in module.CASES:
            yield Case(*row)


def play(case, place):
    place.use(case.server, KINDS[case.server])
    case.play(place)
    place.check_alive()


def report(case, reason, seconds, place):
    print(f"{'FAIL' if reason else 'ok':4}  {str(case):50}  {seconds:.1f} s", flush=True)
    if reason:
        log = place.log_since_mark()[-8000:]
        ended = place.server and place.server.poll() is not None
        for line in [*reason.splitlines(), "-- the server's log:", *log.splitlines(),
                     *(["-- the server ended"] if ended else [])]:
            print("      | " + line)
        place.stop()  # the next case gets a server that has not failed yet


def report_readme(matrix):
    """The last case: that the README shows the clients that there are."""
    wrong = table.compare_readme({case.who for case in matrix})
    print(f"{'FAIL' if wrong else 'ok':4}  {'README.md':14} clients\n{wrong}".rstrip())
    return bool(wrong)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", default=lab.BINARY, help="the program to test")
    parser.add_argument("--offload", choices=("on", "off"), help="an option of the program's")
    parser.add_argument("--list", action="store_true", help="only print the cases")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only cases with these words")
    return parser.parse_args()


def main():
    options = arguments()
    matrix = list(all_cases())
    cases = [case for case in matrix if all(word in str(case) for word in options.words)]
    cases.sort(key=lambda case: list(KINDS).index(case.server))
    if options.list:
        print(*cases, sep="\n")
        return 0
    if not os.path.isfile(options.server):
        sys.exit(f"run.py: there is no {options.server}; build it with cargo build --release")
    lab.require(program for case in cases for program in PROGRAMS.get(case.who, ()))
    lab.enter_namespace()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    place = Lab(options.server, options.offload)
    results = []
    try:
        for case in cases:
            begin = time.monotonic()
            _, reason = lab.attempt(case.seconds, place, play, case, place)
            report(case, reason, time.monotonic() - begin, place)
            results.append((case, reason is None))
    finally:
        place.close()
    failed = sum(not passed for _, passed in results)
    if rows := table.show(results):
        print(rows)
    failed += report_readme(matrix)
    print(f"clients: {len(results) + 1 - failed} passed, {failed} failed")
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    lab.end_with(main)
