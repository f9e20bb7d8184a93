"""What is special about a server as small as that: files in flash, few places, little room."""

import ftplib
import io
import re
import socket
import threading
import time

import wire
from board import CONTENT, PATIENCE, connect, fetch, lines_of, names, refused, store, take
from lab import REPO, SERVER, Failure, check


def ping(board):
    wire.ping(SERVER)(board)
    # As long as a frame may be.
    wire.ping("-s", "1472", SERVER)(board)


def files_in_flash(_):
    with connect() as ftp:
        sizes = {"CHANGELOG.md": (REPO / "CHANGELOG.md").stat().st_size,
                 "README.txt": (REPO / "examples/lm3s6965/files/README.txt").stat().st_size}
        listed = {name: int(facts["size"]) for name, facts in ftp.mlsd("flash")}
        check(listed == sizes, f"MLSD has {listed}")
        large, small = sorted(sizes, key=sizes.get, reverse=True)
        for options, first in (("", "CHANGELOG.md"), ("-r", "README.txt"), ("-S", large),
                               ("-Sr", small)):
            lines = lines_of(ftp, f"LIST {options} flash")
            check(len(lines) == 2 and lines[0].endswith(first), f"LIST {options}: {lines}")
        tree = lines_of(ftp, "LIST -R")
        check(any(line.endswith(" README.txt") for line in tree), f"LIST -R: {tree}")
        changelog = (REPO / "CHANGELOG.md").read_bytes()
        check(fetch(ftp, "flash/CHANGELOG.md") == changelog, "other bytes came")
        check(fetch(ftp, "flash/CHANGELOG.md", 100) == changelog[100:], "REST")
        check(fetch(ftp, "flash/CHANGELOG.md", 10**6) == b"", "REST behind its end")


def flash_stays_as_it_is(_):
    with connect() as ftp:
        for command in ("DELE flash/README.txt", "RMD flash", "MKD flash/d", "RNFR flash/no",
                        "MFMT 20260101000000 flash/README.txt", "SIZE flash/README.txt/no",
                        "CWD flash/README.txt", "SITE CHMOD 644 flash/README.txt"):
            refused(ftp, command)
        for name in ("flash", "flash/README.txt"):
            ftp.sendcmd(f"RNFR {name}")
            refused(ftp, "RNTO other")
        ftp.storbinary("STOR file", io.BytesIO(b"file"))
        for name in ("flash/new", "flash/README.txt"):
            ftp.sendcmd("RNFR file")
            refused(ftp, f"RNTO {name}")
        ftp.delete("file")
        try:
            ftp.storbinary("STOR flash/new", io.BytesIO(b"new"))
            raise Failure("a file was stored in flash")
        except ftplib.error_perm as error:
            check(str(error).startswith("550 "), f"STOR: {error}")


def every_command(_):
    """As deep as the stack can get."""
    with connect() as ftp:
        for command in ("FEAT", "HELP", "STAT", "STAT -R /", "HASH flash/README.txt",
                        "XCRC flash/README.txt", "MLST flash/README.txt", "SITE HELP", "PWD",
                        "SYST", "AVBL"):
            check(ftp.sendcmd(command)[0] == "2", command)
        # The firmware does without the feature `hash`.
        ftp.sendcmd("OPTS HASH CRC32")
        for command in ("OPTS HASH SHA-256", "XMD5 flash/README.txt"):
            refused(ftp, command)
        for line in ("LIST -laR", "NLST *", "MLSD"):
            lines_of(ftp, line)


def disk_full(_):
    with connect() as ftp:
        before = ftp.sendcmd("AVBL")
        try:
            ftp.storbinary("STOR large", io.BytesIO(CONTENT * 10))
            raise Failure("50 KB were stored")
        except ftplib.all_errors as error:
            check(str(error)[:3] in ("452", "552"), f"the reply was {error}")
    with connect() as ftp:
        check(ftp.sendcmd("AVBL") == before, "it has left something")
        check("large" not in names(ftp), "there is half a file")


def all_at_once(_):
    """Two transfers that stand still half-way, an echo in between, and one session too many."""
    first, second = connect(), connect()
    try:
        first.storbinary("STOR file", io.BytesIO(CONTENT))
        uploading = second.transfercmd("STOR second")
        uploading.sendall(CONTENT[:1000])
        downloading = first.transfercmd("RETR file")
        check(echo_exchange(CONTENT * 20) == CONTENT * 20, "echo sent other bytes back")
        with socket.create_connection((SERVER, 21), PATIENCE) as third:
            check(third.recv(100).startswith(b"421 "), "a third session is not refused")
        uploading.sendall(CONTENT[1000:3000])
        uploading.close()
        second.voidresp()
        check(b"".join(iter(lambda: downloading.recv(4096), b"")) == CONTENT, "other bytes came")
        downloading.close()
        first.voidresp()
        check(fetch(second, "second") == CONTENT[:3000], "other bytes were stored")
        for name in ("file", "second"):
            first.delete(name)
    finally:
        first.close()
        second.close()


def echo_exchange(data):
    """What echo makes of the data."""
    with socket.create_connection((SERVER, 7), PATIENCE) as peer:
        sender = threading.Thread(target=lambda: (peer.sendall(data),
                                                  peer.shutdown(socket.SHUT_WR)))
        sender.start()
        got = b"".join(iter(lambda: peer.recv(4096), b""))
        sender.join()
    return got


def more_clients_than_places(_):
    """Forty connections to a server that has room for four."""
    peers = []
    for port in (7, 21) * 20:
        peer = socket.socket()
        peer.setblocking(False)
        peer.connect_ex((SERVER, port))
        peers.append(peer)
    time.sleep(2)
    for peer in peers:
        peer.close()
    with connect() as ftp:
        check(fetch(ftp, "flash/README.txt") != b"", "README.txt is empty")
    time.sleep(1)
    check(echo_exchange(CONTENT) == CONTENT, "echo sent other bytes back")


def many_sessions(_):
    """Nothing is used up."""
    for turn in range(50):
        store("again", CONTENT[:turn * 100])
        check(take("again") == CONTENT[:turn * 100], f"turn {turn}: other bytes came")


def many_files(_):
    """One after another, in one session."""
    with connect() as ftp:
        for number in range(100):
            content = CONTENT[number:number * 50]
            ftp.storbinary(f"STOR file {number}", io.BytesIO(content))
            check(fetch(ftp, f"file {number}") == content, f"file {number}: other bytes came")
            ftp.delete(f"file {number}")


def log_lines_are_frames(board):
    """With defmt, the server's lines and the board's own."""
    board.stop()
    board.start("--defmt")
    try:
        with connect() as ftp:
            peer = "info %s:%d" % ftp.sock.getsockname()[:2]
            fetch(ftp, "flash/README.txt")
        expected = [r"println tinyftp is at .*", f"{peer} connected",
                    f"{peer} logged in as anonymous",
                    rf"{peer} RETR \d+ bytes in \d\.\d{{3}} s, \d+\.\d MB/s: /flash/README\.txt",
                    f"{peer} disconnected"]
        deadline = time.monotonic() + PATIENCE
        while not re.fullmatch("\n".join(expected), "\n".join(lines := board.lines())):
            check(time.monotonic() < deadline, f"the lines are {lines}")
            time.sleep(0.1)
    finally:
        board.stop()
        board.start()


CASES = [(case.__name__.replace("_", " "), case) for case in (
    ping, wire.echo, files_in_flash, flash_stays_as_it_is, every_command, disk_full, all_at_once,
    more_clients_than_places, many_sessions, many_files)]
