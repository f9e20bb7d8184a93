"""What clients do with files, each in each of its ways to make data connections."""

import functools
import os

from board import CONTENT, connect, names, store, take
from clients import CLIENTS, Session, perform
from lab import REPO, SERVER, check

WHO = ("curl", "lftp", "ftplib", "tnftp")
GUEST = ("anonymous", "guest@example.org")
# Where a transfer is taken up again.
REST = 2000


def listing(client, s):
    text = perform(client, s, ("list", "flash")).text
    for file in (REPO / "examples/lm3s6965/files").iterdir():
        shown = [line for line in text.splitlines() if file.name in line]
        check(any(str(file.stat().st_size) in line for line in shown), f"no {file.name}:\n{text}")


def both_ways(client, s):
    """Nothing, what goes in one segment, and more than a buffer has."""
    for size in (0, 1000, len(CONTENT)):
        sent = s.lab.write("sent", os.urandom(size)).read_bytes()
        perform(client, s, ("put", "sent", "there"), ("get", "there", f"back{size}"))
        back = (s.lab.local / f"back{size}").read_bytes()
        check(back == sent, f"{size} bytes: others came back")
        check(take("there") == sent, f"{size} bytes: the server has others")


# What is there already is zeros: they must stay, or the client began again at the start.

def resume_download(client, s):
    store("there", CONTENT)
    back = s.lab.write("back", bytes(REST))
    perform(client, s, ("reget", "there", "back"))
    check(back.read_bytes() == bytes(REST) + CONTENT[REST:], f"not resumed at byte {REST}")
    take("there")


def resume_upload(client, s):
    store("there", bytes(REST))
    s.lab.write("there", CONTENT)
    perform(client, s, ("reput", "there", "there", REST))
    check(take("there") == bytes(REST) + CONTENT[REST:], f"not resumed at byte {REST}")


def append(client, s):
    store("there", CONTENT)
    s.lab.write("sent", b"more")
    perform(client, s, ("append", "sent", "there"))
    check(take("there") == CONTENT + b"more", "the server has something else")


def rename_and_delete(client, s):
    s.lab.write("sent", CONTENT)
    perform(client, s, ("put", "sent", "one"), ("put", "sent", "two"),
            ("rename", "one", "new name"), ("delete", "two"))
    with connect() as ftp:
        check(names(ftp) == ["flash", "new name"], f"there is {names(ftp)}")
    check(take("new name") == CONTENT, "the server has something else")


def directories(client, s):
    s.lab.write("sent", CONTENT)
    perform(client, s, ("mkdir", "outer"), ("mkdir", "outer/inner dir"),
            ("put", "sent", "outer/inner dir/file"))
    check(take("outer/inner dir/file") == CONTENT, "the server has something else")
    perform(client, s, ("rmdir", "outer/inner dir"), ("rmdir", "outer"))


# What a client must be able to do for each.
SCENARIOS = {
    "list": (("list",), listing),
    "put and get": (("put", "get"), both_ways),
    "resume get": (("reget",), resume_download),
    "resume put": (("reput",), resume_upload),
    "append": (("append",), append),
    "rename and delete": (("rename", "delete"), rename_and_delete),
    "directories": (("mkdir", "rmdir"), directories),
}


def play(scenario, client, mode, board):
    for path in board.local.iterdir():
        path.unlink()
    scenario(client, Session(board, mode, SERVER, *GUEST))


CASES = [(f"{client} {mode}: {name}", functools.partial(play, scenario, client, mode))
         for client in WHO for mode in CLIENTS[client].modes
         for name, (needs, scenario) in SCENARIOS.items() if set(needs) <= set(CLIENTS[client].can)]
