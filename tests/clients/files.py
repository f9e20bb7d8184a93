"""What every client has to be able to do with files: the rows of SCENARIOS."""

import os
import re
from typing import Callable, NamedTuple
from urllib.parse import unquote

from clients import CLIENTS, perform
from lab import check, digest, same

NAMES = ["two  spaces.bin", "größe 文書.bin", "-dash.bin", "#%;&'$~.bin", ".hidden"]


class Scenario(NamedTuple):
    name: str
    needs: tuple  # operations that the client must have
    play: Callable  # (client, session)
    every_mode: bool = True  # or in the client's first mode only
    seconds: int = 60
    server: str = "files"


def listing(client, s):
    (s.lab.root / "directory/sub").mkdir(parents=True)
    (s.lab.root / "directory/file.bin").write_bytes(b"12345")
    text = perform(client, s, ("list", "directory")).text
    check("file.bin" in text and "sub" in text, f"names are missing:\n{text}")


def names_only(client, s):
    for name in ("one", "two"):
        (s.lab.root / name).write_bytes(b"12345")
    text = perform(client, s, ("nlist", ".")).text
    found = [os.path.basename(line.strip()) for line in text.splitlines()]
    check("one" in found and "two" in found, f"names are missing:\n{text}")


def for_machines(client, s):
    (s.lab.root / "directory/sub größe").mkdir(parents=True)
    (s.lab.root / "directory/two  spaces.bin").write_bytes(b"12345")
    text = perform(client, s, ("mlsd", "directory")).text
    found = [line for line in text.splitlines() if "modify" in line]
    for name, kind in ("sub größe", "dir"), ("two  spaces.bin", "file"):
        check(any(name in line and kind in line for line in found), f"no {name}:\n{text}")


def size_and_date(client, s):
    """Each client prints the date in a form of its own; the time of day is in all of them."""
    there = s.lab.root / "there.bin"
    there.write_bytes(bytes(12_345))
    os.utime(there, (1_614_834_367, 1_614_834_367))  # 2021-03-04 05:06:07
    text = perform(client, s, ("size", "there.bin"), ("date", "there.bin")).text
    check("12345" in text, f"no size:\n{text}")
    check(re.search(r"\b0?5:06:07", text) or "20210304050607" in text, f"no date:\n{text}")


def facts_of_one(client, s):
    (s.lab.root / "größe  1.bin").write_bytes(bytes(12_345))
    text = perform(client, s, ("facts", "größe  1.bin")).text
    check("12345" in text and "file" in text, f"facts are missing:\n{text}")


def both_ways(size):
    def play(client, s):
        sent = s.lab.write("sent", os.urandom(size))
        perform(client, s, ("put", "sent", "there.bin"), ("get", "there.bin", "back"))
        check(same(sent, s.lab.root / "there.bin"), "the server has something else")
        check(same(sent, s.lab.local / "back"), "something else came back")
    return play


def fetched(size):
    def play(client, s):
        there = s.lab.root / "there.bin"
        there.write_bytes(os.urandom(size))
        perform(client, s, ("get", "there.bin", "back"))
        check(same(there, s.lab.local / "back"), "something else came back")
    return play


def upload_large(client, s):
    os.link(s.lab.large, s.lab.base / "local/sent")
    perform(client, s, ("put", "sent", "large.bin"))
    check(digest(s.lab.root / "large.bin") == s.lab.large_sum, "the server has something else")


def download_large(client, s):
    os.link(s.lab.large, s.lab.root / "large.bin")
    perform(client, s, ("get", "large.bin", "back"))
    check(digest(s.lab.local / "back") == s.lab.large_sum, "something else came back")


# What is there already is zeros: they must stay, or the client began again at the start.

RESUMES_AT = {"aria2c": 98_304}  # it knows of whole blocks of 16 KiB only


def resume_download(client, s):
    content = os.urandom(300_000)
    (s.lab.root / "there.bin").write_bytes(content)
    back = s.lab.write("back", bytes(100_000))
    perform(client, s, ("reget", "there.bin", "back"))
    at = RESUMES_AT.get(client, 100_000)
    check(back.read_bytes() == bytes(at) + content[at:], f"not resumed at byte {at:,}")


def resume_upload(client, s):
    content = os.urandom(300_000)
    there = s.lab.root / "there.bin"
    there.write_bytes(bytes(100_000))
    ours = s.lab.write("there.bin", content)
    os.utime(ours, (1_700_000_000, 1_700_000_000))  # ncftpput would not resume with a newer file
    perform(client, s, ("reput", "there.bin", "there.bin", 100_000))
    check(there.read_bytes() == bytes(100_000) + content[100_000:], "not resumed at byte 100,000")


def append(client, s):
    there = s.lab.root / "there.bin"
    there.write_bytes(b"first")
    s.lab.write("sent", b"second")
    perform(client, s, ("append", "sent", "there.bin"))
    check(there.read_bytes() == b"firstsecond", f"the server has {there.read_bytes()!r}")


def overwrite(client, s):
    there = s.lab.root / "there.bin"
    there.write_bytes(bytes(5000))
    s.lab.write("sent", b"short")
    perform(client, s, ("put", "sent", "there.bin"))
    check(there.read_bytes() == b"short", f"{there.stat().st_size} bytes are there")


def directories(client, s):
    s.lab.write("sent", b"inside")
    perform(client, s, ("mkdir", "outer"), ("mkdir", "outer/inner dir"),
            ("put", "sent", "outer/inner dir/file.bin"))
    inner = s.lab.root / "outer/inner dir"
    check((inner / "file.bin").read_bytes() == b"inside", "the file is not there")
    perform(client, s, ("delete", "outer/inner dir/file.bin"), ("rmdir", "outer/inner dir"))
    check((s.lab.root / "outer").is_dir() and not inner.exists(), "not removed")


def change_directory(client, s):
    (s.lab.root / "outer/inner").mkdir(parents=True)
    s.lab.write("sent", b"inside")
    perform(client, s, ("cd", "outer"), ("cd", "inner"), ("put", "sent", "down.bin"),
            ("cd", ".."), ("put", "sent", "up.bin"))
    check((s.lab.root / "outer/inner/down.bin").exists(), "cd down went elsewhere")
    check((s.lab.root / "outer/up.bin").exists(), "cd up went elsewhere")


def rename(client, s):
    (s.lab.root / "old name").write_bytes(b"x")
    perform(client, s, ("rename", "old name", "new name"))
    check(sorted(os.listdir(s.lab.root)) == ["new name"], f"{os.listdir(s.lab.root)}")


def delete(client, s):
    (s.lab.root / "gone").write_bytes(b"x")
    (s.lab.root / "stays").write_bytes(b"x")
    perform(client, s, ("delete", "gone"))
    check(os.listdir(s.lab.root) == ["stays"], f"{os.listdir(s.lab.root)}")


def odd_names(client, s):
    for name in NAMES:
        content = os.urandom(100)
        s.lab.write("sent", content)
        # A client may take a leading dash for an option of its own.
        path = "./" + name if name.startswith("-") else name
        perform(client, s, ("put", "sent", path), ("get", path, "back"))
        check(name in os.listdir(s.lab.root), f"{name} became {os.listdir(s.lab.root)}")
        check((s.lab.local / "back").read_bytes() == content, f"{name}: something else came back")
        s.lab.clear()


def wrong_password(client, s):
    (s.lab.root / "there.bin").write_bytes(b"x")
    wrong = s._replace(password="wrong")
    outcome = perform(client, wrong, ("get", "there.bin", "back"), fails=True)
    back = s.lab.local / "back"
    check(not back.exists() or back.stat().st_size == 0, "the file came all the same")
    words = ("530", "incorrect", "denied", "Login failed")
    check(any(word in outcome.text for word in words), f"no reason given:\n{outcome.text}")


def read_only(client, s):
    (s.lab.root / "there.bin").write_bytes(b"public")
    s.lab.write("sent", b"x")
    guest = s._replace(user="anonymous", password="guest@example.org")
    perform(client, guest, ("get", "there.bin", "back"))
    check((s.lab.local / "back").read_bytes() == b"public", "a guest cannot read")
    for operation in (("put", "sent", "new.bin"), ("put", "sent", "there.bin")):
        perform(client, guest, operation, fails=True)
    check(os.listdir(s.lab.root) == ["there.bin"], f"a guest wrote {os.listdir(s.lab.root)}")
    check((s.lab.root / "there.bin").read_bytes() == b"public", "a guest wrote over a file")


def in_memory(client, s):
    """What somebody sees who starts the server without arguments."""
    guest = s._replace(user="anonymous", password="guest@example.org")
    sent = s.lab.write("sent", os.urandom(1_000_000))
    perform(client, guest, ("get", "README.txt", "readme"))
    check((s.lab.local / "readme").stat().st_size > 0, "there is no README.txt")
    if "put" in CLIENTS[client].can:
        perform(client, guest, ("put", "sent", "there.bin"), ("get", "there.bin", "back"))
        check(same(sent, s.lab.local / "back"), "something else came back")


# Whole trees

def make_tree(top):
    for directory in ("a/b", "a/empty", "c"):
        (top / directory).mkdir(parents=True)
    for number, directory in enumerate(["", "a", "a/b", "c"] * 5):
        (top / directory / f"file {number}.bin").write_bytes(os.urandom(number * 1000))


def tree(top):
    return {str(path.relative_to(top)): path.is_file() and digest(path)
            for path in top.rglob("*")}


def files(top):
    return {name: content for name, content in tree(top).items() if content}


def make_forest(top):
    """500 small files in directories within directories."""
    for number in range(500):
        directory = top / "a" / f"größe {number % 5}" / f"{number % 25}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file {number} 文.bin").write_bytes(os.urandom(number))


def compare_trees(where, wanted):
    """The copy is in `where`, or deeper: some clients add the path, others do not."""
    copies = [d for d in [where / "a", *where.rglob("a")] if d.is_dir()]
    check(copies, f"no tree came, but {sorted(tree(where))}")
    copy, wanted = tree(copies[0].parent), tree(wanted)
    check(copy == wanted, f"missing: {sorted(wanted.keys() - copy.keys())}\n"
          f"too much: {sorted(copy.keys() - wanted.keys())}\n"
          f"differ: {sorted(n for n in copy.keys() & wanted.keys() if copy[n] != wanted[n])}")


def mirror(make):
    def play(client, s):
        make(s.lab.root / "tree")
        perform(client, s, ("mirror", "tree", "copy"))
        compare_trees(s.lab.local, s.lab.root / "tree")
    return play


def mirror_up(make):
    def play(client, s):
        make(s.lab.local / "tree")
        perform(client, s, ("mirror_up", "tree", "copy"))
        compare_trees(s.lab.root / "copy", s.lab.local / "tree")
    return play


def sync(sync, check_same, ours, theirs):
    """Twice: the second time only what changed is sent, and what is gone goes there too."""
    def play(client, s):
        given, copy = getattr(s.lab, ours) / "tree", getattr(s.lab, theirs) / "copy"
        make_tree(given)
        perform(client, s, (sync, "tree", "copy"), (check_same, "tree", "copy"))
        kept = copy / "a/file 1.bin"
        before = kept.stat().st_ino
        (given / "c/file 3.bin").unlink()
        (given / "a/file 5.bin").write_bytes(b"changed")
        (given / "a/new größe.bin").write_bytes(b"new")
        perform(client, s, (sync, "tree", "copy"), (check_same, "tree", "copy"))
        check(files(copy) == files(given), f"{sorted(files(copy))}, not {sorted(files(given))}")
        check(kept.stat().st_ino == before, "what had not changed was sent again")
        (copy / "a/file 5.bin").write_bytes(b"CHANGED")
        check(perform(client, s, (check_same, "tree", "copy"), fails=True).status != 0,
              "the check finds nothing, but a file differs")
    return play


# Many at once

MANY = [f"file {number} größe.bin" for number in range(50)]


def many_down(client, s):
    for number, name in enumerate(MANY):
        (s.lab.root / name).write_bytes(os.urandom(number * 1000))
    perform(client, s, ("get_many", *MANY))
    got, wanted = tree(s.lab.local), tree(s.lab.root)
    if client == "curl":  # names them as they are in the URL
        got = {unquote(name): content for name, content in got.items()}
    check(got == wanted, f"{sorted(got)} came of {sorted(wanted)}")


def many_up(client, s):
    for number, name in enumerate(MANY):
        s.lab.write(name, os.urandom(number * 1000))
    perform(client, s, ("put_many", *MANY))
    check(tree(s.lab.root) == tree(s.lab.local), f"{sorted(tree(s.lab.root))} are there")


def every_method(client, s):
    """By way of each directory, by the whole path, and by CWD to the last directory."""
    (s.lab.root / "a/größe b").mkdir(parents=True)
    there = s.lab.root / "a/größe b/file.bin"
    there.write_bytes(os.urandom(1000))
    for method in ("multicwd", "nocwd", "singlecwd"):
        perform(client, s, ("get_by", method, "a/größe b/file.bin", method))
        check(same(there, s.lab.local / method), f"something else came by {method}")


def new_directories(client, s):
    sent = s.lab.write("sent", os.urandom(1000))
    perform(client, s, ("put_deep", "sent", "a/größe b/c/file.bin"))
    check(same(sent, s.lab.root / "a/größe b/c/file.bin"), "the server has something else")


def in_pieces(client, s):
    os.link(s.lab.large, s.lab.root / "large.bin")
    perform(client, s, ("pget", "large.bin", "back"))
    check(digest(s.lab.local / "back") == s.lab.large_sum, "something else came back")


SCENARIOS = [
    Scenario("in memory", ("get",), in_memory, every_mode=False, server="plain"),
    Scenario("list", ("list",), listing),
    Scenario("list names", ("nlist",), names_only),
    Scenario("list for machines", ("mlsd",), for_machines),
    Scenario("size and date", ("size", "date"), size_and_date, every_mode=False),
    Scenario("facts of a file", ("facts",), facts_of_one, every_mode=False),
    Scenario("0 bytes", ("put", "get"), both_ways(0)),
    Scenario("1 byte", ("put", "get"), both_ways(1)),
    Scenario("download 1 byte", ("get",), fetched(1)),
    Scenario("upload 100 MiB", ("put",), upload_large, seconds=300),
    Scenario("download 100 MiB", ("get",), download_large, seconds=300),
    Scenario("download in pieces", ("pget",), in_pieces, seconds=300),
    Scenario("each --ftp-method", ("get_by",), every_method),
    Scenario("upload into new directories", ("put_deep",), new_directories),
    Scenario("resume download", ("reget",), resume_download),
    Scenario("resume upload", ("reput",), resume_upload),
    Scenario("append", ("append",), append),
    Scenario("overwrite", ("put",), overwrite),
    Scenario("tree down", ("mirror",), mirror(make_tree)),
    Scenario("tree up", ("mirror_up",), mirror_up(make_tree)),
    Scenario("500 small files down", ("mirror",), mirror(make_forest), every_mode=False),
    Scenario("500 small files up", ("mirror_up",), mirror_up(make_forest), every_mode=False),
    Scenario("sync and check up", ("sync", "check"), sync("sync", "check", "local", "root"),
             every_mode=False),
    Scenario("sync and check down", ("sync_down", "check_down"),
             sync("sync_down", "check_down", "root", "local"), every_mode=False),
    Scenario("50 files at once down", ("get_many",), many_down),
    Scenario("50 files at once up", ("put_many",), many_up),
    Scenario("odd names", ("put", "get"), odd_names, every_mode=False),
    Scenario("directories", ("mkdir", "rmdir", "put"), directories, every_mode=False),
    Scenario("change directory", ("cd", "put"), change_directory, every_mode=False),
    Scenario("rename", ("rename",), rename, every_mode=False),
    Scenario("delete", ("delete",), delete, every_mode=False),
    Scenario("wrong password", ("get",), wrong_password, every_mode=False),
    Scenario("read-only guest", ("put", "get"), read_only, every_mode=False),
]
