#!/usr/bin/python3
"""The server for a Cortex-M3 in QEMU, and clients against it, in a network namespace of its own.

    run.py [--list] [WORD]...

Plays the cases whose line has every WORD in it; all of them when there is none. Before that,
scripts/run-qemu.sh builds it, with --build; with --build --defmt, for one case; and with --build
--board mps2-an385, for those on that board."""

import argparse
import itertools
import re
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, NamedTuple

sys.dont_write_bytecode = True  # this may run as root in somebody's clone
# What the tests with clients have already: the clients themselves, and what they run in.
sys.path.append(str(Path(__file__).resolve().parents[1] / "clients"))

import cases
import firmware
import matrix
from board import Board
from clients import PROGRAMS
from lab import REPO, attempt, check, end_with, enter_namespace, require

# Bytes that it may take: of RAM, with the stack, and of flash.
RAM = 65_536
FLASH = 131_072
# Bytes of what the README lists at least, and how far off its figures may be.
LISTED = 500
TOLERANCE = 0.1
# Bytes of the stack that must never have been in use.
STACK_LEFT = 2048

CASE_SECONDS = 300


class Case(NamedTuple):
    board: str
    name: str
    play: Callable  # (board)

    @property
    def line(self):
        return f"{self.board} {self.name}"


def sizes(board):
    ram, flash = board.numbers(r"RAM: (\d+) of .* flash: (\d+) of ")
    print(f"      RAM: {ram} bytes; flash: {flash} bytes")
    check(ram <= RAM, f"more than {RAM} bytes of RAM")
    check(flash <= FLASH, f"more than {FLASH} bytes of flash")


def figures_in_the_readme(_):
    """They are those of one compiler; those of another may be a little different."""
    readme = (REPO / "README.md").read_text()
    told = {name: int(size.replace(",", ""))
            for name, size in re.findall(r"^\| `?([^|`]+)`? \| ([\d,]+) \|", readme, re.MULTILINE)}
    for name, size in firmware.figures().items():
        check(name in told or size < LISTED, f"{name} is missing: {size} bytes")
        is_near = abs(told.get(name, size) - size) <= size * TOLERANCE + LISTED / 2
        check(is_near, f"{name} is said to have {told.get(name)} bytes, and has {size}")


def ways_to_a_panic(_):
    wrong = firmware.unexpected_panics()
    check(not wrong, "; ".join(wrong))


def stack(board):
    """How deep it was in all cases so far."""
    time.sleep(2)  # it looks once a second
    used, size = board.numbers(r"stack: (\d+) of (\d+) bytes")
    print(f"      stack: {used} of {size} bytes")
    check(used + STACK_LEFT <= size, f"less than {STACK_LEFT} bytes are left")


ROWS = (
    ("sizes", sizes), ("figures in the README", figures_in_the_readme),
    ("ways to a panic", ways_to_a_panic), *cases.CASES, *matrix.CASES, ("stack", stack),
    ("log lines are frames", cases.log_lines_are_frames))
# Where drivers come in: all else that the second board has is that of the first.
DRIVERS = ("ping|echo|files in flash|more clients than places|many files"
           "|curl .*: (list|put and get)|stack")
CASES = ([Case("lm3s6965", *row) for row in ROWS] +
         [Case("mps2-an385", *row) for row in ROWS if re.fullmatch(DRIVERS, row[0])])


def play(case, board):
    case.play(board)
    board.check_alive()
    board.check_empty()


def report(case, reason, seconds, board):
    print(f"{'FAIL' if reason else 'ok':4}  {case.line:50}  {seconds:.1f} s", flush=True)
    if reason:
        said = board.output().splitlines()[-100:]
        for line in [*reason.splitlines(), "-- what the board said:", *said]:
            print("      | " + line)
        # The next case gets one that has not failed yet.
        board.stop()
        board.start()


def play_on(name, chosen):
    """How many cases failed on the board of that name."""
    failed = 0
    with tempfile.TemporaryDirectory(prefix="tinyftp-qemu-") as base:
        board = Board(Path(base), name)
        for case in chosen:
            begin = time.monotonic()
            _, reason = attempt(CASE_SECONDS, board, play, case, board)
            report(case, reason, time.monotonic() - begin, board)
            failed += reason is not None
        board.stop()
    return failed


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--list", action="store_true", help="only print the cases")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only lines with these words")
    return parser.parse_args()


def main():
    options = arguments()
    chosen = [case for case in CASES if all(word in case.line for word in options.words)]
    if options.list:
        print(*(case.line for case in chosen), sep="\n")
        return 0
    require(program for who in (*matrix.WHO, "ping", "nc") for program in PROGRAMS.get(who, ()))
    enter_namespace()
    failed = sum(play_on(*group) for group in itertools.groupby(chosen, lambda case: case.board))
    print(f"qemu: {len(chosen) - failed} passed, {failed} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    end_with(main)
