"""What no client shows: the dialogue itself, byte by byte, and the connections beneath it."""

import ftplib
import io
import os
import re
import signal
import socket
import struct
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

from lab import (HOST, MIB, PASSWORD, SERVER, SERVER6, USER, Failure, check, digest,
                 run)

IAC, IP, DM = b"\xff", b"\xf4", b"\xf2"
REUSE = (socket.SO_REUSEADDR, socket.SO_REUSEPORT)


class Control:
    """A control connection by hand. `ask` sends a line and wants one of the codes in return."""

    def __init__(self, user="anonymous", password="guest@example.org", address=SERVER, reuse=False,
                 image=True):
        self.address, self.dialogue, self.unread = address, [], b""
        self.socket = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.socket.settimeout(10)
        for option in REUSE if reuse else ():
            self.socket.setsockopt(socket.SOL_SOCKET, option, 1)
        if reuse:
            self.socket.bind((HOST, 0))
        self.socket.connect((address, 21))
        if user is None:
            return
        self.want(220)
        if self.ask(f"USER {user}", 230, 331)[0] == 331:
            self.ask(f"PASS {password}", 230)
        if image:
            self.ask("TYPE I", 200)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        self.socket.close()
        if isinstance(error, OSError):
            raise Failure(f"{error!r}:\n{self}") from None

    def send(self, line):
        data = line.encode() if isinstance(line, str) else line
        self.dialogue.append(f"> {data[:200]!r}")
        self.socket.sendall(data + b"\r\n")

    def line(self):
        while b"\n" not in self.unread:
            try:
                data = self.socket.recv(4096)
            except OSError as error:
                raise Failure(f"no reply ({error}):\n{self}") from None
            if not data:
                raise Failure(f"closed without a reply:\n{self}")
            self.unread += data
        line, self.unread = self.unread.split(b"\n", 1)
        self.dialogue.append(f"< {line!r}")
        check(line.endswith(b"\r"), f"a line of a reply ends in a bare LF:\n{self}")
        return line[:-1].decode(errors="backslashreplace")

    def reply(self):
        """The next reply: its code, and its text with all its lines."""
        first = line = self.line()
        check(re.match(r"[1-5]\d\d[ -]", first), f"this is no reply:\n{self}")
        while first[3] == "-" and not line.startswith(first[:3] + " "):
            line = self.line()
            first += "\n" + line
        return int(first[:3]), first

    def want(self, *codes):
        code, words = self.reply()
        check(code in codes, f"{code} and not {' or '.join(map(str, codes))}:\n{self}")
        return code, words

    def ask(self, line, *codes):
        self.send(line)
        return self.want(*codes)

    def closed(self, seconds=10):
        """Whether the server closes the connection within the time; replies until then are kept."""
        self.socket.settimeout(seconds)
        try:
            while data := self.socket.recv(4096):
                self.unread += data
            return True
        except TimeoutError:
            return False
        except OSError:
            return True

    def passive_port(self):
        words = self.ask("EPSV", 229)[1]
        found = re.search(r"\(\|\|\|(\d+)\|\)", words)
        check(found, f"no port in the reply:\n{self}")
        return int(found[1])

    def passive(self, receive_buffer=None):
        data = socket.socket(self.socket.family)
        data.settimeout(10)
        if receive_buffer:
            data.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        data.connect((self.address, self.passive_port()))
        return data

    def store(self, name, content):
        data = self.passive()
        self.ask(f"STOR {name}", 150, 125)
        with data:
            data.sendall(content)
        self.want(226)

    def fetch(self, name):
        data = self.passive()
        self.ask(f"RETR {name}", 150, 125)
        content = drain(data)
        self.want(226)
        return content

    def __str__(self):
        return "\n".join(self.dialogue[-40:])


def drain(data):
    data.settimeout(20)
    with data:
        blocks = []
        while block := data.recv(MIB):
            blocks.append(block)
        return b"".join(blocks)


def anna(**options):
    return Control(USER, PASSWORD, **options)


def reset(connection):
    """Closes it with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def stall(control, receive_buffer=None):
    """Begins a download and reads nothing of it; what is in the file, and the data connection.

    Neither side's buffers can hold all of the file; the disk in memory can hold it once."""
    content = os.urandom(8 * MIB)
    control.ask("DELE stalled.bin", 250, 550)
    control.store("stalled.bin", content)
    data = control.passive(receive_buffer)
    control.ask("RETR stalled.bin", 150, 125)
    time.sleep(0.5)
    return content, data


# Beside FTP

def ping(*arguments):
    def play(_):
        words = run("ping", "-c", "3", "-i", "0.2", "-W", "2", *arguments)
        check(" 0% packet loss" in words, words)
    return play


def echo(lab):
    sent = lab.write("sent", os.urandom(10 * MIB))
    with open(sent) as given, open(lab.local / "back", "wb") as back:
        done = subprocess.run(["nc", "-N", "-w", "20", SERVER, "7"], stdin=given, stdout=back,
                              timeout=50)
    check(done.returncode == 0, f"nc ended with status {done.returncode}")
    check(digest(sent) == digest(lab.local / "back"), "something else came back")


def closed_port(_):
    begin = time.monotonic()
    try:
        socket.create_connection((SERVER, 81), 5).close()
        raise Failure("somebody answers on port 81")
    except ConnectionRefusedError:
        check(time.monotonic() - begin < 1, "refused, but late")
    except TimeoutError:
        raise Failure("no answer at all") from None


# Commands during a transfer

def quit_during_transfer(_):
    with Control() as control:
        content, data = stall(control)
        control.send("QUIT")
        check(drain(data) == content, "the file came short")
        control.want(226)
        control.want(221)
        check(control.closed(), "the connection stays open after 221")


def abort(prefix, urgent=False):
    def play(_):
        with Control() as control:
            _, data = stall(control)
            if urgent:
                control.socket.send(IAC + IP + IAC)
                control.socket.send(DM, socket.MSG_OOB)
                control.send("ABOR")
            else:
                control.send(prefix + b"ABOR")
            control.want(426)
            control.want(226)
            data.close()
            control.ask("NOOP", 200)
            control.ask("ABOR", 226, 225)
            check(control.fetch("stalled.bin"), "the next download brings nothing")
    return play


def noop_while_stalled(_):
    with Control() as control:
        content, data = stall(control)
        begin = time.monotonic()
        control.ask("NOOP", 200)
        check(time.monotonic() - begin < 1, "the reply to NOOP is late")
        check(drain(data) == content, "the file came short")
        control.want(226)


# Lines

def lower_case(_):
    with Control(user=None) as control:
        control.want(220)
        if control.ask("user anonymous", 230, 331)[0] == 331:
            control.ask("pass guest", 230)
        control.ask("pwd", 257)
        control.ask("type i", 200)
        control.ask("noOp", 200)
        control.ask("quit", 221)


def pipelined(_):
    with Control() as control:
        control.send("NOOP\r\nPWD\r\nTYPE I\r\nSYST")
        for code in (200, 257, 200, 215):
            control.want(code)


def byte_by_byte(_):
    with Control() as control:
        control.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in b"PWD\r\n":
            control.socket.send(bytes([byte]))
            time.sleep(0.02)
        control.want(257)


def features(_):
    with Control() as control:
        words = control.ask("FEAT", 211)[1]
        for feature in ("EPSV", "EPRT", "SIZE", "MDTM", "REST STREAM", "UTF8"):
            check(feature in words, f"{feature} is not in FEAT:\n{words}")
        control.ask("OPTS UTF8 ON", 200)


def ascii_both_ways(lab):
    with anna() as control:
        control.ask("TYPE A", 200)
        control.store("text.txt", b"one\r\ntwo\r\n\r\nend\r\n")
        there = (lab.root / "text.txt").read_bytes()
        check(there == b"one\ntwo\n\nend\n", f"stored as {there!r}")
        check(control.fetch("text.txt") == b"one\r\ntwo\r\n\r\nend\r\n", "fetched otherwise")
        control.ask("SIZE text.txt", 550)
        control.ask("TYPE I", 200)
        check(control.fetch("text.txt") == there, "the image is not what is stored")
        control.ask("SIZE text.txt", 213)


def no_type(lab):
    """Nothing is converted unless TYPE A was asked for."""
    content = b"one\ntwo\r\nthree"
    with anna(image=False) as control:
        control.store("raw.bin", content)
        check((lab.root / "raw.bin").read_bytes() == content, "converted on the way in")
        check(control.fetch("raw.bin") == content, "converted on the way out")


def listing_options(lab):
    for name in ("-dash", "plain"):
        (lab.root / name).write_bytes(b"x")
    with anna() as control:
        for command in ("LIST -a", "LIST -la", "LIST -la .", "LIST", "NLST", "NLST -1"):
            data = control.passive()
            control.ask(command, 150, 125)
            words = drain(data)
            control.want(226)
            check(b"plain\r\n" in words and b"-dash\r\n" in words, f"{command}: {words!r}")
        check(control.fetch("-dash") == b"x", "a leading dash is taken for an option")


# The data connection

def default_connection(_):
    """Neither PASV nor PORT: from port 20 to the port that the control connection comes from."""
    with Control(reuse=True) as control, socket.socket() as listener:
        for option in REUSE:
            listener.setsockopt(socket.SOL_SOCKET, option, 1)
        listener.bind(control.socket.getsockname())
        listener.listen()
        listener.settimeout(10)
        control.send("LIST")
        data, peer = listener.accept()
        check(peer == (SERVER, 20), f"the data connection is from {peer}")
        control.want(150, 125)
        words = drain(data)
        control.want(226)
        check(b"README.txt" in words, f"{words!r}")


TRANSFERS = ("RETR there.bin", "NLST", "STOR new.bin")
CONTENT = os.urandom(1000)


def moved(data, command):
    """Does the client's part of the transfer; what came."""
    if command.startswith("STOR"):
        with data:
            data.sendall(CONTENT)
        return b""
    return drain(data)


def check_moved(lab, command, came):
    there = lab.root / "new.bin"
    wanted = {"RETR": CONTENT, "NLST": b"there.bin\r\n", "STOR": b""}[command[:4]]
    check(came == wanted, f"{command}: {len(came)} bytes came")
    if command.startswith("STOR"):
        check(there.read_bytes() == CONTENT, "the server has something else")
        there.unlink()


def connect_when(moment):
    """Passive, with the client connecting early, between the command and 150, or late."""
    def play(lab):
        (lab.root / "there.bin").write_bytes(CONTENT)
        for address in (SERVER, SERVER6):
            with anna(address=address) as control:
                for command in TRANSFERS:
                    came = moment(control, control.passive_port(), command)
                    control.want(226)
                    check_moved(lab, command, came)
    return play


def early(control, port, command):
    with socket.create_connection((control.address, port), 10) as data:
        time.sleep(0.3)
        control.ask(command, 150, 125)
        return moved(data, command)


def at_once(control, port, command):
    """As fast as can be: the SYN goes out behind the command, before its reply is read."""
    control.send(command)
    with socket.create_connection((control.address, port), 10) as data:
        control.want(150, 125)
        return moved(data, command)


def late(control, port, command):
    control.ask(command, 150, 125)
    time.sleep(0.3)
    with socket.create_connection((control.address, port), 10) as data:
        return moved(data, command)


def write_and_close_early(size):
    """The upload is there, with its end, before the command is."""
    def play(lab):
        content = os.urandom(size)
        for address in (SERVER, SERVER6):
            with anna(address=address) as control:
                data = control.passive()
                data.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MIB)
                data.sendall(content)
                data.close()
                time.sleep(0.3)
                control.ask("STOR early.bin", 150, 125)
                control.want(226)
            check((lab.root / "early.bin").read_bytes() == content, "bytes are lost")
    return play


def close_early(close):
    """Gone before anything was asked: the download fails, or is taken for done; the next works."""
    def play(lab):
        (lab.root / "there.bin").write_bytes(os.urandom(MIB))
        with anna() as control:
            data = control.passive()
            close(data)
            time.sleep(0.3)
            if control.ask("RETR there.bin", 150, 425, 426)[0] == 150:
                control.want(226, 425, 426)
            check(len(control.fetch("there.bin")) == MIB, "the next download came short")
    return play


def broken_upload(lab):
    old = b"the old file"
    (lab.root / "kept.bin").write_bytes(old)
    with anna() as control:
        data = control.passive()
        control.ask("STOR kept.bin", 150, 125)
        data.sendall(os.urandom(MIB))
        time.sleep(0.3)
        reset(data)
        control.want(426, 451)
        control.ask("NOOP", 200)
        check(os.listdir(lab.root) == ["kept.bin"], f"left over: {os.listdir(lab.root)}")
        check((lab.root / "kept.bin").read_bytes() == old, "the old file is gone")


# Many

def small_files(lab):
    contents = [os.urandom(100 + number) for number in range(200)]
    with anna() as control:
        for number, content in enumerate(contents):
            control.store(f"{number}.bin", content)
        for number, content in enumerate(contents):
            check(control.fetch(f"{number}.bin") == content, f"file {number} differs")
    check(len(os.listdir(lab.root)) == 200, f"{len(os.listdir(lab.root))} files are there")


def try_while_full(action):
    """More clients than data connections: a 425 is worth another try."""
    for _ in range(100):
        try:
            return action()
        except ftplib.error_temp as error:
            check(str(error).startswith("425"), str(error))
            time.sleep(0.02)
    raise Failure("425 again and again")


def one_of_many(number):
    with ftplib.FTP(SERVER, timeout=20) as ftp:
        ftp.login()
        ftp.set_pasv(number % 2 == 0)
        for size in (1, 1000, 20_000):
            content, name = os.urandom(size), f"{number}.bin"
            try_while_full(lambda: ftp.storbinary(f"STOR {name}", io.BytesIO(content)))
            fetched = io.BytesIO()
            try_while_full(lambda: ftp.retrbinary(f"RETR {name}", fetched.write))
            check(fetched.getvalue() == content, f"{name} differs")
        ftp.delete(name)
        ftp.quit()


def many_at_once(_):
    with ThreadPoolExecutor(200) as clients:
        for result in [clients.submit(one_of_many, number) for number in range(200)]:
            result.result()


def dropped_connections(_):
    for number in range(500):
        connection = socket.create_connection((SERVER, 21), 10)
        if number % 2:
            reset(connection)
        else:
            connection.close()
    with Control() as control:
        control.ask("NOOP", 200)


def one_session_too_many(_):
    time.sleep(0.5)  # the connection that saw the server start is still on its way out
    with Control() as first, Control(), Control():
        with Control(user=None) as extra:
            extra.want(421)
            check(extra.closed(), "the connection stays open after 421")
        first.ask("QUIT", 221)
        check(first.closed(), "the connection stays open after 221")
        with Control() as another:
            another.ask("NOOP", 200)


def idle_timeout(_):
    with Control() as control:
        begin = time.monotonic()
        control.want(421)
        seconds = time.monotonic() - begin
        check(1.5 < seconds < 4, f"421 after {seconds:.1f} s and not after 2")
        check(control.closed(), "the connection stays open after 421")


def idle_but_transferring(_):
    """A transfer is no idling, however long it takes."""
    with Control() as control:
        content, data = stall(control, receive_buffer=65536)
        got = b""
        for _ in range(8):
            time.sleep(0.5)
            got += data.recv(256 << 10, socket.MSG_WAITALL)
        check(got + drain(data) == content, "the file came short")
        control.want(226)


def idle_processor(lab):
    def ticks():
        with open(f"/proc/{lab.server.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    sessions = [Control() for _ in range(5)]
    time.sleep(1)
    begin = ticks()
    time.sleep(3)
    used = ticks() - begin
    for session in sessions:
        session.socket.close()
    check(used <= 1, f"{used} ticks in 3 s of doing nothing")


# The end

def ended(lab, seconds):
    """Waits for the server to end, and has the next case start another."""
    try:
        status = lab.server.wait(seconds)
    except subprocess.TimeoutExpired:
        raise Failure(f"the server still runs after {seconds} s") from None
    lab.server = None
    return status


def terminate(number):
    def play(lab):
        with Control() as control:
            lab.server.send_signal(number)
            control.want(421)
            status = ended(lab, 3)
        check(status == 0, f"ended with status {status}")
    return play


def terminate_during_transfer(lab):
    with Control() as control:
        content, data = stall(control)
        lab.server.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        check(drain(data) == content, "the file came short")
        control.want(226)
        check(control.closed(), "the connection stays open")
        status = ended(lab, 3)
    check(status == 0, f"ended with status {status}")


def terminate_twice(lab):
    with Control() as control:
        _, data = stall(control)
        lab.server.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        check(lab.server.poll() is None, "ended at the first signal, in the middle of a transfer")
        lab.server.send_signal(signal.SIGTERM)
        ended(lab, 1)
        data.close()


CASES = [
    ("plain", "ping", "ipv4", "56 bytes", ping(SERVER)),
    ("plain", "ping", "ipv4", "1400 bytes", ping("-s", "1400", SERVER)),
    ("ipv6", "ping", "ipv6", "56 bytes", ping(SERVER6)),
    ("ipv6", "ping", "ipv6", "1400 bytes", ping("-s", "1400", SERVER6)),
    ("plain", "nc", "echo", "10 MiB to port 7", echo),
    ("plain", "socket", "tcp", "closed port", closed_port),
    ("plain", "socket", "control", "lower case", lower_case),
    ("plain", "socket", "control", "several commands at once", pipelined),
    ("plain", "socket", "control", "byte by byte", byte_by_byte),
    ("plain", "socket", "control", "FEAT and OPTS", features),
    ("plain", "socket", "during", "QUIT", quit_during_transfer),
    ("plain", "socket", "during", "ABOR", abort(b"")),
    ("plain", "socket", "during", "IAC IP IAC DM ABOR", abort(IAC + IP + IAC + DM)),
    ("plain", "socket", "during", "IAC IP IAC DM ABOR, urgent", abort(b"", urgent=True)),
    ("plain", "socket", "during", "NOOP", noop_while_stalled),
    ("plain", "socket", "data", "neither PASV nor PORT", default_connection),
    ("files", "socket", "data", "connected before the command", connect_when(early)),
    ("files", "socket", "data", "connected with the command", connect_when(at_once)),
    ("files", "socket", "data", "connected after 150", connect_when(late)),
    ("files", "socket", "data", "empty and closed before STOR", write_and_close_early(0)),
    ("files", "socket", "data", "sent and closed before STOR", write_and_close_early(1000)),
    ("files", "socket", "data", "1 MiB sent and closed before STOR", write_and_close_early(MIB)),
    ("files", "socket", "data", "closed before RETR", close_early(socket.socket.close)),
    ("files", "socket", "data", "reset before RETR", close_early(reset)),
    ("files", "socket", "data", "upload that is reset", broken_upload),
    ("files", "socket", "data", "TYPE A both ways", ascii_both_ways),
    ("files", "socket", "data", "no TYPE at all", no_type),
    ("files", "socket", "data", "listings with options", listing_options),
    ("files", "socket", "many", "200 small files", small_files),
    ("plain", "socket", "many", "200 clients at once", many_at_once, 120),
    ("plain", "socket", "many", "500 dropped connections", dropped_connections, 120),
    ("plain", "socket", "idle", "processor time", idle_processor),
    ("tight", "socket", "limits", "one session too many", one_session_too_many),
    ("tight", "socket", "limits", "idle time-out", idle_timeout),
    ("tight", "socket", "limits", "a slow transfer is not idle", idle_but_transferring),
    ("plain", "socket", "signals", "SIGTERM", terminate(signal.SIGTERM)),
    ("plain", "socket", "signals", "SIGINT", terminate(signal.SIGINT)),
    ("plain", "socket", "signals", "SIGTERM during a transfer", terminate_during_transfer),
    ("plain", "socket", "signals", "SIGTERM twice", terminate_twice),
]
