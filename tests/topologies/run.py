#!/usr/bin/python3
"""tinyftp on networks of all kinds, which are made here and gone afterwards.

    run.py [--server BINARY] [--offload on|off] [--captures DIR] [--list] [WORD]...

Plays the cases whose line has every WORD in it; all of them when there is none."""

import argparse
import os
import shutil
import signal
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

sys.dont_write_bytecode = True  # this may run as root in somebody's clone
# What the tests with clients have already: files, dialogues, the clients themselves.
sys.path.append(str(Path(__file__).resolve().parents[1] / "clients"))

import lab
from captures import check_captures
from network import Network, hide_run
from topology import Case, Skipped

PROGRAMS = ("curl", "ethtool", "ip", "lftp", "nc", "nft", "ping", "tcpdump", "tshark", "unshare")
AT_ONCE = 3  # topologies; those with bad paths wait most of the time
SET_UP_SECONDS = 90


def all_topologies():
    import bridged
    import caller
    import conflict
    import dhcp
    import lossy
    import names
    import nat
    import offload
    import onlink
    import ra
    import routed
    import spoilt
    for module in (dhcp, lossy, caller, ra, conflict, names, spoilt, onlink, routed, nat, bridged,
                   offload):
        yield from module.TOPOLOGIES


def chosen(words):
    """Topologies with those of their cases that have all the words in their line."""
    for topology in all_topologies():
        cases = [case for case in topology.cases
                 if all(word in line(topology, case) for word in words)]
        if cases:
            yield topology._replace(cases=cases)


def line(topology, case):
    return f"{topology.name:14} {case.name}"


class Outcome:
    """The lines of the cases of one topology, and how many of them failed."""

    def __init__(self, topology):
        self.topology, self.network = topology, None
        self.passed = self.failed = self.skipped = 0

    def attempt(self, case, action, *arguments):
        """Plays one case; whether it went well."""
        def play():
            try:
                return "ok", action(*arguments)
            except Skipped as skipped:
                return "SKIP", skipped

        begin = time.monotonic()
        played, reason = lab.attempt(case.seconds, self.network, play)
        verdict, words = played or ("FAIL", None)
        self.report(case, verdict, reason, words, time.monotonic() - begin)
        return verdict == "ok"

    def report(self, case, verdict, reason, words, seconds):
        self.passed += verdict == "ok"
        self.failed += verdict == "FAIL"
        self.skipped += verdict == "SKIP"
        text = f"{verdict:4}  {line(self.topology, case):60}  {seconds:.1f} s  {words or ''}"
        why = [*reason.splitlines(), *self.logs()] if reason else []
        # In one piece: another process prints, too.
        print("\n      | ".join([text.rstrip(), *why]), flush=True)

    def logs(self):
        for server in self.network.servers if self.network else ():
            yield f"-- the log of {server.log_file.name}:"
            yield from server.log()[-4000:].splitlines()


def play_topology(number, options):
    """All of one of the chosen topologies, in a process that got nothing else to know which;
    how many cases passed, failed and were skipped."""
    topology = list(chosen(options.words))[number]
    outcome = Outcome(topology)
    network = outcome.network = Network(topology.name, options.server, options.offload)
    place = None

    def set_up():
        nonlocal place
        place = topology.set_up(network)

    def play(case):
        for server in network.servers:
            server.mark()
        words = case.play(place)
        network.check_alive()
        return words

    try:
        if outcome.attempt(Case("set-up", None, SET_UP_SECONDS), set_up):
            for case in topology.cases:
                outcome.attempt(case, play, case)
            if network.captures:
                outcome.attempt(Case("captures, read by tshark", None, 120),
                                check_captures, network.captures)
        for capture in network.captures if options.captures else ():
            name = f"{topology.name}-{capture.file.name}"
            shutil.copy(capture.file, Path(options.captures, name))
    finally:
        network.close()
    return Counter(passed=outcome.passed, failed=outcome.failed, skipped=outcome.skipped)


def play_all(count, options):
    total = Counter()
    with ProcessPoolExecutor(AT_ONCE, mp_context=get_context("fork")) as workers:
        played = [workers.submit(play_topology, number, options) for number in range(count)]
        for topology in as_completed(played):
            total.update(topology.result())
    return total


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--server", default=lab.BINARY, help="the program to test")
    parser.add_argument("--offload", choices=("on", "off"), help="an option of the program's")
    parser.add_argument("--captures", metavar="DIR", help="copy the captures to this directory")
    parser.add_argument("--list", action="store_true", help="only print the cases")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only cases with these words")
    return parser.parse_args()


def main():
    options = arguments()
    topologies = list(chosen(options.words))
    if options.list:
        print(*(line(t, case) for t in topologies for case in t.cases), sep="\n")
        return 0
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if not os.path.isfile(options.server):
        sys.exit(f"run.py: there is no {options.server}; build it with cargo build --release")
    lab.require(PROGRAMS)
    lab.enter_namespace()
    hide_run()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    total = play_all(len(topologies), options)
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"topologies: {total['passed']} passed, {total['failed']} failed{skipped}")
    return 1 if total["failed"] or not topologies else 0


if __name__ == "__main__":
    lab.end_with(main)
