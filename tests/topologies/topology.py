"""What a topology and a case of it are, and what most cases do."""

import itertools
import os
import subprocess
from typing import Callable, NamedTuple

from clients import CLIENTS, Session, perform
from lab import MIB, Failure, check, same


class Skipped(Exception):
    """What plays the case could not be fetched; the run says so."""


class Case(NamedTuple):
    name: str
    play: Callable  # (place); words that it returns are printed behind its time
    seconds: int = 30


class Topology(NamedTuple):
    name: str
    set_up: Callable  # (network) -> place, which is for the cases to know
    cases: list


ALL_MODES = ("pasv", "epsv", "port", "eprt")
numbers = itertools.count(1)


def modes(client, address):
    return CLIENTS[client].modes6 if ":" in address else CLIENTS[client].modes


def transfer(server, host, client, address, mode, size=100_000):
    """The client on the host stores a file, fetches it again, and lists it.

    Each transfer has names of its own: several may run at once."""
    network, number = server.network, next(numbers)
    there, back = f"there{number}.bin", network.local / f"back{number}"
    sent = network.write(f"sent{number}", os.urandom(size))
    with host.inside():
        text = perform(client, Session(network, mode, address), ("put", sent.name, there),
                       ("get", there, back.name), ("list", ".")).text
    check(same(sent, server.root / there), "the server has something else")
    check(same(sent, back), "something else came back")
    check(there in text, f"the name is not listed:\n{text}")
    for path in (sent, back, server.root / there):
        path.unlink()


def transfers(server, host, client, address, only=ALL_MODES):
    """In each of the client's modes, or in those of them that are named."""
    for mode in modes(client, address):
        if mode in only:
            transfer(server, host, client, address, mode)


def echo(network, host, address, size=MIB):
    sent, back = network.write("echo", os.urandom(size)), network.local / "echoed"
    with open(sent) as given, open(back, "wb") as taken, host.inside():
        try:
            done = subprocess.run(["nc", "-N", "-w", "20", address, "7"], stdin=given,
                                  stdout=taken, timeout=network.seconds_left())
        except subprocess.TimeoutExpired:
            raise Failure(f"nc hangs; {back.stat().st_size} of {size} bytes came back") from None
    check(done.returncode == 0, f"nc ended with status {done.returncode}")
    check(same(sent, back), "something else came back")
