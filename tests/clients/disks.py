"""A disk that hangs, or is full: an ext4 file system on a loop device, which can be frozen."""

import contextlib
import ftplib
import io
import socket
import statistics
import threading
import time

from lab import MIB, PASSWORD, SERVER, USER, check, run

ROUNDS = 300  # of each question that is asked meanwhile


def log_in():
    ftp = ftplib.FTP(SERVER, timeout=20)
    ftp.login(USER, PASSWORD)
    return ftp


@contextlib.contextmanager
def disk(lab):
    """A file system of its own below the server's root."""
    image, place = lab.base / "image", lab.root / "disk"
    with open(image, "wb") as file:
        file.truncate(64 * MIB)
    run("mkfs.ext4", "-q", image)
    place.mkdir()
    run("mount", "-o", "loop", image, place)
    try:
        yield place
    finally:
        run("umount", place)
        image.unlink()


@contextlib.contextmanager
def frozen(place):
    """Whoever changes something there waits, and nothing can end it; so it must end here."""
    run("fsfreeze", "--freeze", place)
    try:
        yield
    finally:
        run("fsfreeze", "--unfreeze", place)


class Asked(threading.Thread):
    """Something that is asked for now and answered later."""

    def __init__(self, ask):
        super().__init__(daemon=True)
        self.ask, self.answer = ask, "no answer"
        self.start()

    def run(self):
        try:
            self.answer = self.ask()
        except ftplib.Error as error:
            self.answer = str(error)

    def get(self):
        self.join(20)
        return self.answer


def latencies(ask):
    """How long each answer takes, in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        ask()
        times.append((time.perf_counter() - begin) * 1000)
    return times


def echo(connection):
    connection.sendall(b"hello")
    check(connection.recv(5, socket.MSG_WAITALL) == b"hello", "that is no echo")


def fetch(ftp, name):
    content = io.BytesIO()
    ftp.retrbinary(f"RETR {name}", content.write)
    return content.getvalue()


def ask_others(content):
    """Who does not need the disk is answered, and so is who reads what is in memory."""
    with log_in() as ftp, socket.create_connection((SERVER, 7), timeout=20) as connection:
        for name, ask in [("NOOP", lambda: ftp.voidcmd("NOOP")), ("echo", lambda: echo(connection))]:
            times = sorted(latencies(ask))
            p50, p99 = statistics.median(times), times[len(times) * 99 // 100]
            print(f"      {name}: p50 {p50:.2f} ms, p99 {p99:.2f} ms", flush=True)
            check(times[-1] < 1000, f"{name} took {times[-1]:.0f} ms")
        ftp.storbinary("STOR inc/elsewhere", io.BytesIO(content))
        for name in ["inc/elsewhere", "disk/here"]:
            check(fetch(ftp, name) == content, f"{name} came back as another file")


def stuck(lab):
    content = lab.large.read_bytes()[:8 * MIB]
    (lab.root / "inc").mkdir()
    with disk(lab) as place, log_in() as uploader, log_in() as maker, log_in() as deleter:
        (place / "here").write_bytes(content)
        (place / "old").write_bytes(b"old")
        data = uploader.transfercmd("STOR disk/up")
        data.sendall(content[:MIB])

        def rest():
            with data:
                data.sendall(content[MIB:])
            return uploader.voidresp()

        with frozen(place):
            upload = Asked(rest)
            directory = Asked(lambda: maker.sendcmd("MKD disk/directory"))
            file = Asked(lambda: deleter.sendcmd("DELE disk/old"))
            ask_others(content)
            for asked in upload, directory, file:
                check(asked.is_alive(), f"the disk does not hang: {asked.answer}")
        for asked, code in [(upload, "226 "), (directory, "257 "), (file, "250 ")]:
            check(asked.get().startswith(code), f"{code}was expected: {asked.answer}")
        names = sorted(path.name for path in place.iterdir())
        check(names == ["directory", "here", "lost+found", "up"], f"{names}")
        check((place / "up").read_bytes() == content, "another file was stored")


def aborted(lab):
    """What is told to be aborted is not stored: a commit that hangs cannot be called off, so that
    the ABOR waits for it."""
    with disk(lab) as place, log_in() as ftp:
        (place / "file").write_bytes(b"old")
        data = ftp.transfercmd("STOR disk/file")
        with frozen(place):
            data.sendall(b"new")
            data.close()
            time.sleep(0.5)
            ftp.putcmd("ABOR")
            time.sleep(0.5)
        replies = [ftp.getmultiline()[:3], ftp.getmultiline()[:3]]
        check(replies == ["226", "226"], f"{replies}")
        check((place / "file").read_bytes() == b"new", "an upload that is complete was not stored")


def full(lab):
    """What the disk has no room for is refused, and leaves what was there."""
    with disk(lab) as place, log_in() as ftp:
        (place / "file").write_bytes(b"old")
        try:
            with open(lab.large, "rb") as large:
                reply = ftp.storbinary("STOR disk/file", large)
        except ftplib.error_temp as error:
            reply = str(error)
        check(reply == "452 No space left", reply)
        check((place / "file").read_bytes() == b"old", "the old file is gone")
        names = sorted(path.name for path in place.iterdir())
        check(names == ["file", "lost+found"], f"{names}")
        # What was written of it is given back.
        content = bytes(40 * MIB)
        check(ftp.storbinary("STOR disk/more", io.BytesIO(content))[:4] == "226 ", "no room")


def stopped(lab):
    """The server lets go of the network in time. Only its process stays, as the kernel has it."""
    with disk(lab) as place, contextlib.closing(log_in()) as uploader:
        with uploader.transfercmd("STOR disk/up") as data, frozen(place):
            data.sendall(bytes(MIB))
            lab.server.terminate()
            begin = time.monotonic()
            while "NO-CARRIER" not in run("ip", "link", "show", "tap0"):
                check(time.monotonic() - begin < 12, "the server does not stop")
                time.sleep(0.1)
            check(uploader.getmultiline().startswith("426 "), "the upload is not aborted")
            check(uploader.getmultiline().startswith("421 "), "there is no farewell")
            check(lab.server.poll() is None, "it was not stuck")
        check(lab.server.wait(10) == 0, f"status {lab.server.returncode}")
        lab.server = None
        check([path.name for path in place.iterdir()] == ["lost+found"], "something is left of it")


CASES = [
    ("files", "limits", "ftplib", "a disk that is full", full),
    ("files", "limits", "ftplib", "a disk that hangs stops nobody else", stuck),
    ("files", "limits", "ftplib", "an upload that is aborted while the disk hangs", aborted),
    ("files", "limits", "ftplib", "a disk that hangs keeps nobody from stopping", stopped),
]
