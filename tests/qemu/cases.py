"""What is special about a server as small as that: files in flash, few places, little room."""

import contextlib
import ftplib
import io
import re
import select
import socket
import threading
import time

import wire
from board import (CONTENT, PATIENCE, available, connect, fetch, lines_of, names, refused, store,
                   take)
from lab import OTHER, REPO, SERVER, Failure, check, run
from limits import until

ANOTHER = "192.168.69.102"  # a third address of ours
# Seconds after which a session that asks for it is idle for too long.
IDLE = 10
# Seconds that the server waits for the end of a connection that it closes.
LINGER = 30
# How many of our seconds one of the board's may take: its clock counts interrupts, and where QEMU
# gets little of a processor it misses some.
SLOWNESS = 4


def ping(board):
    wire.ping(SERVER)(board)
    # As long as a frame may be.
    wire.ping("-s", "1472", SERVER)(board)


def files_in_flash(_):
    with connect() as ftp:
        files = {file.name: file.read_bytes()
                 for file in (REPO / "examples/lm3s6965/files").iterdir()}
        sizes = {name: len(content) for name, content in files.items()}
        listed = {name: int(facts["size"]) for name, facts in ftp.mlsd("flash")}
        check(listed == sizes, f"MLSD has {listed}")
        large, small = sorted(sizes, key=sizes.get, reverse=True)
        for options, first in (("", "README.txt"), ("-r", "clients.txt"), ("-S", large),
                               ("-Sr", small)):
            lines = lines_of(ftp, f"LIST {options} flash")
            check(len(lines) == 2 and lines[0].endswith(first), f"LIST {options}: {lines}")
        tree = lines_of(ftp, "LIST -R")
        check(any(line.endswith(" README.txt") for line in tree), f"LIST -R: {tree}")
        for name, content in files.items():
            check(fetch(ftp, f"flash/{name}") == content, "other bytes came")
            check(fetch(ftp, f"flash/{name}", 100) == content[100:], "REST")
            check(fetch(ftp, f"flash/{name}", 10**6) == b"", "REST behind its end")


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
        features = ftp.sendcmd("FEAT").splitlines()
        check(" HASH CRC32*;" in features and " XCRC" in features, f"FEAT: {features}")
        check(not re.search("SHA|MD5", "".join(features)), f"FEAT: {features}")
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


def begin(ftp, command, address=""):
    """A transfer; its data connection, which takes little at a time."""
    port = ftplib.parse229(ftp.sendcmd("EPSV"), ftp.sock.getpeername())[1]
    data = socket.socket()
    data.settimeout(PATIENCE)
    data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    data.bind((address, 0))
    data.connect((SERVER, port))
    ftp.sendcmd(command)
    return data


def all_at_once(_):
    """Two transfers that stand still half-way, an echo in between, and one session too many."""
    first, second = connect(), connect()
    try:
        first.storbinary("STOR file", io.BytesIO(CONTENT))
        uploading = begin(second, "STOR second")
        uploading.sendall(CONTENT[:1000])
        downloading = begin(first, "RETR file")
        check(echo_exchange(CONTENT * 20) == CONTENT * 20, "echo sent other bytes back")
        with socket.create_connection((SERVER, 21), PATIENCE) as third:
            check(third.recv(100).startswith(b"421 "), "a third session is not refused")
        replied, _, _ = select.select([first.sock, second.sock], [], [], 0.5)
        check(not replied, "a transfer is over already")
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
    until(echo_has_a_place, "echo has no place again", PATIENCE)
    check(echo_exchange(CONTENT) == CONTENT, "echo sent other bytes back")


def echo_has_a_place():
    try:
        with socket.create_connection((SERVER, 7), PATIENCE) as peer:
            peer.sendall(b".")
            return peer.recv(1) == b"."
    except ConnectionError:
        return False


def many_sessions(_):
    """Nothing is used up."""
    for turn in range(50):
        store("again", CONTENT[:turn * 100])
        check(take("again") == CONTENT[:turn * 100], f"turn {turn}: other bytes came")


def many_files(_):
    """One after another, in one session."""
    with connect() as ftp:
        store_and_fetch(ftp, 100)


def store_and_fetch(ftp, count):
    for number in range(count):
        content = CONTENT[number:number * 50]
        ftp.storbinary(f"STOR file {number}", io.BytesIO(content))
        check(fetch(ftp, f"file {number}") == content, f"file {number}: other bytes came")
        ftp.delete(f"file {number}")


class Vanishing:
    """A client at an address of its own, who is gone all of a sudden."""

    def __init__(self, address):
        self.address = address
        run("ip", "address", "add", f"{address}/24", "dev", "tap0")
        self.ftp = connect(address)
        told = self.ftp.sendcmd("SITE IDLE")
        check(" 60 s " in told, f"sessions may be idle for another time: {told}")
        self.ftp.sendcmd(f"SITE IDLE {IDLE}")

    def begin(self, command):
        return begin(self.ftp, command, self.address)

    def vanish(self):
        """From here on nothing reaches it, and nothing comes from it."""
        run("ip", "address", "delete", f"{self.address}/24", "dev", "tap0")


def clients_that_vanish(board):
    """One in the middle of an upload, one of a download. Others are served as far as there is room,
    and at the end all of it is theirs."""
    store("file", CONTENT)
    room = available()
    start = time.monotonic()
    uploader = Vanishing(OTHER)
    upload = uploader.begin("STOR half")
    upload.sendall(CONTENT[:3000])
    until(lambda: available() < room, "nothing of it is stored")
    uploader.vanish()
    with connect() as ftp:
        store_and_fetch(ftp, 20)
    check(available() < room, "the upload is given up at once")
    downloader = Vanishing(ANOTHER)
    download = downloader.begin("RETR file")
    download.recv(100)
    downloader.vanish()
    ping(board)
    check(echo_exchange(CONTENT * 20) == CONTENT * 20, "echo sent other bytes back")
    check(is_full(), "a session is given up at once")
    until(lambda: not is_full(), "no session is free again", 3 * IDLE * SLOWNESS, 0.5)
    check(time.monotonic() - start > 2 * IDLE, "a session was given up too soon")
    stalled = board.output().count("The data connection stalled")
    check(stalled == 2, f"{stalled} of the two transfers stalled")
    check(available() == room, "something of the upload is left")
    take("file")
    until(has_places, "connections are left", LINGER * SLOWNESS, 0.5)
    all_at_once(board)
    upload.close()
    download.close()


def is_full():
    """Whether there is no place for a session."""
    with socket.create_connection((SERVER, 21), PATIENCE) as peer:
        return peer.recv(100).startswith(b"421 ")


def has_places():
    """Whether as many may connect as there should be places for."""
    with contextlib.ExitStack() as connections:
        try:
            for port in (21, 21, 21, 7):
                peer = socket.create_connection((SERVER, port), 1)
                connections.enter_context(peer)
        except TimeoutError:
            return False
    return True


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
    more_clients_than_places, many_sessions, many_files, clients_that_vanish)]
