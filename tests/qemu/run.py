#!/usr/bin/python3
"""The server for a Cortex-M3 in QEMU, and clients against it, in a network namespace of its own.

    run.py [WORD]...

Plays the cases whose name has every WORD in it; all of them when there is none."""

import ftplib
import io
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True  # this may run as root in somebody's clone

sys.path.append(str(Path(__file__).resolve().parents[1] / "clients"))
from lab import REPO, SERVER, Failure, check, enter_namespace
import frames

ELF = REPO / "target/lm3s6965/thumbv7m-none-eabi/release/lm3s6965"
# Seconds that a case, or a step of it, may take.
PATIENCE = 15
# Bytes of the stack that must never have been in use.
STACK_LEFT = 2048
# More than a buffer of the server has; twice as much goes on its disk.
CONTENT = bytes(i * 7 % 251 for i in range(5000))


class Board:
    """The board, with the serial port in a file."""

    def __init__(self, *options):
        subprocess.run([REPO / "scripts/setup-tap.sh"], check=True, stdout=subprocess.DEVNULL)
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen([REPO / "scripts/run-qemu.sh", *options],
                                        stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 300  # the build
        while SERVER.encode() not in self.output():
            check(self.process.poll() is None and time.monotonic() < deadline, "it does not start")
            time.sleep(0.1)

    def output(self):
        self.log.seek(0)
        return self.log.read()

    def lines(self):
        """What it sent with defmt, but for the stack, which it measures at times of its own."""
        lines = frames.lines(self.output(), ELF)
        return [line for line in lines if not line.startswith("println stack: ")]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)


def run(*command, data=None):
    """What a command prints, if it ends well."""
    done = subprocess.run(command, input=data, timeout=PATIENCE, capture_output=True)
    check(done.returncode == 0, f"{command[0]} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def curl(*arguments, data=None):
    return run("curl", "-sS", "--max-time", str(PATIENCE), *arguments, data=data)


def connect(passive=True):
    ftp = ftplib.FTP(timeout=PATIENCE)
    # The last sessions may be about to end.
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            ftp.connect(SERVER)
            break
        except (ftplib.error_temp, ConnectionResetError):
            check(time.monotonic() < deadline, "no session is free")
            time.sleep(0.1)
    ftp.login()
    ftp.set_pasv(passive)
    return ftp


def fetch(ftp, path, rest=None):
    content = io.BytesIO()
    ftp.retrbinary(f"RETR {path}", content.write, rest=rest)
    return content.getvalue()


def names(ftp):
    return sorted(name for name, _ in ftp.mlsd())


def echo_exchange(data):
    """What echo makes of the data."""
    with socket.create_connection((SERVER, 7), PATIENCE) as peer:
        sender = threading.Thread(target=lambda: (peer.sendall(data),
                                                  peer.shutdown(socket.SHUT_WR)))
        sender.start()
        got = b"".join(iter(lambda: peer.recv(4096), b""))
        sender.join()
    return got


# The cases.

def ping():
    run("ping", "-c", "3", "-i", "0.2", "-W", "2", SERVER)
    # As long as a frame may be.
    run("ping", "-c", "3", "-i", "0.2", "-W", "2", "-s", "1472", SERVER)


def curl_list_get_put():
    url = f"ftp://{SERVER}/"
    check(b" flash\n" in curl(url), "there is no flash in the listing")
    readme = (REPO / "examples/lm3s6965/files/README.txt").read_bytes()
    check(curl(url + "flash/README.txt") == readme, "this is not the README")
    for mode in ([], ["--disable-epsv"], ["--ftp-port", "-"]):
        curl(*mode, "-T", "-", url + "file", data=CONTENT)
        check(curl(*mode, url + "file") == CONTENT, f"{mode}: other bytes came back")
        curl("-Q", "DELE file", url)


def ftplib_list_get_put():
    for passive in (True, False):
        with connect(passive) as ftp:
            ftp.storbinary("STOR file", io.BytesIO(CONTENT))
            ftp.storbinary("APPE file", io.BytesIO(b"more"))
            check(fetch(ftp, "file") == CONTENT + b"more", "other bytes came back")
            check(fetch(ftp, "file", 4000) == CONTENT[4000:] + b"more", "REST")
            check(ftp.size("file") == len(CONTENT) + 4, "SIZE")
            ftp.mkd("directory")
            ftp.rename("file", "directory/other")
            check(names(ftp) == ["directory", "flash"], f"there is {names(ftp)}")
            check(ftp.nlst("directory") == ["directory/other"], "NLST")
            ftp.delete("directory/other")
            ftp.rmd("directory")


def files_in_flash():
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


def flash_stays_as_it_is():
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


def lines_of(ftp, command):
    lines = []
    ftp.retrlines(command, lines.append)
    return lines


def refused(ftp, command):
    try:
        reply = ftp.sendcmd(command)
    except ftplib.error_perm:
        return
    raise Failure(f"{command}: {reply}")


def every_command():
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


def disk_full():
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


def all_at_once():
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


def more_clients_than_places():
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


def many_sessions():
    """Nothing is used up."""
    for turn in range(50):
        with connect() as ftp:
            ftp.storbinary("STOR again", io.BytesIO(CONTENT[:turn * 100]))
            check(fetch(ftp, "again") == CONTENT[:turn * 100], f"turn {turn}: other bytes came")
            ftp.delete("again")


CASES = [ping, curl_list_get_put, ftplib_list_get_put, files_in_flash, flash_stays_as_it_is,
         every_command, disk_full, all_at_once, more_clients_than_places,
         many_sessions]


def stack_is_large_enough(board):
    time.sleep(2)  # it looks once a second
    check(b"panicked" not in board.output(), "it panicked")
    depths = re.findall(rb"stack: (\d+) of (\d+) bytes", board.output())
    check(depths, "it does not say how much of the stack was in use")
    used, size = map(int, depths[-1])
    print(f"     stack: {used} of {size} bytes")
    check(used + STACK_LEFT <= size, f"less than {STACK_LEFT} bytes are left")


def log_lines_are_frames():
    """With defmt, the server's lines and the board's own."""
    board = Board("--defmt")
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
        board.end()


def play(name, case):
    begin = time.monotonic()
    try:
        case()
    except (Failure, OSError, ftplib.Error, EOFError, LookupError, ValueError,
            subprocess.SubprocessError) as error:
        print(f"FAIL {name}: {error!r}", flush=True)
        return False
    print(f"ok   {name} ({time.monotonic() - begin:.1f} s)", flush=True)
    return True


def main():
    enter_namespace()
    words = sys.argv[1:]
    wanted = [case for case in CASES if all(word in case.__name__ for word in words)]
    board = Board()
    results = [play(case.__name__, case) for case in wanted]
    results.append(play("stack_is_large_enough", lambda: stack_is_large_enough(board)))
    board.end()
    if not all(results):
        print(board.output().decode(errors="replace"))
    if all(word in log_lines_are_frames.__name__ for word in words):
        results.append(play(log_lines_are_frames.__name__, log_lines_are_frames))
    print(f"{results.count(True)} of {len(results)} cases")
    sys.exit(not all(results))


main()
