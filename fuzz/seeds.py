#!/usr/bin/env python3
"""Writes what the fuzzer begins with: seeds of `session` and `command_line` made of
tests/transcripts, and the words of the control connection.

Run it when there are new transcripts or verbs. The bytes are explained in tests/ftp/fuzz.rs.
"""
import math
import pathlib
import re
from functools import reduce
from operator import or_

HERE = pathlib.Path(__file__).parent
PASSWORDS = {"anna": "secret", "otto": ""}
ERRORS = ["io", "full", "no", "busy", "denied"]
REST = b"\x00\x00"
# Options of a transcript, and the circumstances that are like them.
OPTIONS = {"ipv6": 16, "root": 32, "welcome": 32, "inspect": 32, "rate": 64, "total_rate": 64,
           "upload": 64, "address": 128}
TELNET = [r"\x0d\x0a", r"\xff\xf4\xff\xf2", r"\xff\xfb\x01", r"\xff\xfa", r"\xff\xf0"]
ARGUMENTS = [
    "anonymous", "anna", "secret", "a", "big", "d", "d/b.txt", "..", "/", "*", "[a-b]?",
    "-la", "-R", "-ltr", "-d", "-- ", "A", "I", "L 8", "S", "Z", "F", "B", "R", "EN", "ALL",
    "1", "2", "1 0", "2 9", "9223372036854775808", "18446744073709551615",
    "UTF8 ON", "HASH MD5", "MODE Z LEVEL 9", "MLST type;size;modify;perm;unique;UNIX.mode;",
    "20261121123456 a", "modify=20261121123456; a", "UNIX.mode=0644; a",
    "CHMOD 644 a", "IDLE 9", "UMASK 022", "WHO", "NETSTAT", "UTIME 20261121123456 a",
    "UTIME a 20260101000000 20260102000000 20260103000000 UTC",
    "192,0,2,2,156,65", "|1|192.0.2.2|40001|", "|2|2001:db8::2|40001|",
]


def unescaped(text):
    """Bytes as a transcript writes them."""
    if many := re.fullmatch(r"\((\d+) bytes\)", text):
        return b"x" * min(int(many[1]), 300)
    codes = {"r": "\r", "n": "\n", "e": "\x1b", "0": "\0"}

    def byte(found):
        return chr(int(found[1][1:], 16)) if found[1][0] == "x" else codes.get(found[1], found[1])

    latin = text.encode().decode("latin-1")
    return re.sub(r"\\(x..|.)", byte, latin).encode("latin-1")


def said(line):
    """What the client says; control characters need an operation of their own."""
    return re.sub(rb"[\0-\x09\x0b\x0c\x0e-\x1f]", lambda found: b"\x02" + found[0], line)


def time(text):
    millis = int(text[:-2]) if text.endswith("ms") else 1000 * int(text[:-1])
    return bytes([0x15, min(math.ceil(math.log2(millis)), 19)])


def event(who, what):
    """An event as operations; `what` is said in other words in tests/ftp/transcript.rs."""
    word = what.split(" ")[0]
    if who == "D>":
        length = min(len(unescaped(what.removeprefix("| "))) // 8, 255)
        finish = b"\x0e\x00" if what.startswith("|") else b""
        return bytes([0x0C, length]) + finish
    if who == "D<":
        return b"\x10\x00" + REST + b"\x10\x00"
    if who == "T:":
        return time(what)
    if who == "H:" and word == "fail":
        error = what.split(" ")[1]
        return bytes([0x13, ERRORS.index(error) if error in ERRORS else 0])
    return {
        "connect": b"\x08\x00",
        "accept": b"\x08\x05",
        "refuse": b"\x0b\x03",
        "unreachable": b"\x0b\x02",
        "finish": b"\x0e\x00",
        "reset": b"\x0f\x00",
        "ack": b"\x11" + bytes([what.endswith("only")]),
        "hold": b"\x12\x00",
        "release": b"\x12\x01",
        "no": b"\x16" + bytes([what.endswith("port")]),
        "shutdown": b"\x17\x00",
        "(finish)": b"\x06\x00",
        "(reset)": b"\x07\x00",
    }.get(word, b"")


def session(text):
    """A transcript as the input of `session`."""
    options = set(re.findall(r"^O: (\w+)", text, re.MULTILINE))
    circumstances = reduce(or_, (OPTIONS.get(option, 0) for option in options), 0)
    seed = bytearray([0x10 if "codecs" in options else 0, circumstances])
    for line in text.splitlines():
        who, what = line[:2], line[3:]
        if who == "L:":
            password = PASSWORDS.get(what, "me@example.org")
            seed += f"USER {what}\r\nPASS {password}\r\n".encode()
        elif who == "C:" and not what.startswith("(") or who == "E:":
            seed += said(unescaped(what)) + (b"\r\n" if who == "C:" else b"")
        elif who in ("C:", "D:", "D>", "D<", "T:", "H:"):
            seed += event(who, what) + REST
        elif who == "--":
            seed += REST
        elif who == "S:" and what.startswith("150"):
            seed += REST
    return bytes(seed)


def command_line(text):
    """What the client says in a transcript, as the input of `command_line`."""
    seed = bytearray([3])
    for line in text.splitlines():
        if line.startswith("C: ") and not line.startswith("C: ("):
            seed += unescaped(line[3:]) + b"\r\n"
        elif line.startswith("E: "):
            seed += unescaped(line[3:])
    return bytes(seed)


def dictionary():
    """The words of the control connection, as libFuzzer wants them."""
    table = (HERE.parent / "src/ftp/command.rs").read_text()
    verbs = [f"{verb} " for verb in re.findall(r'row\("([A-Z0-9]+)"', table)]
    return "".join(f'"{word}"\n' for word in TELNET + verbs + ARGUMENTS)


def main():
    (HERE / "control.dict").write_text(dictionary())
    for target in (session, command_line):
        directory = HERE / "corpus" / target.__name__
        directory.mkdir(parents=True, exist_ok=True)
        for transcript in (HERE.parent / "tests/transcripts").glob("*.txt"):
            (directory / transcript.stem).write_bytes(target(transcript.read_text())[:1024])


if __name__ == "__main__":
    main()
