"""What an attacker does, against the real server on a real link. The list of all classes of
attack and their tests is in tests/ftp.rs."""

import contextlib
import hashlib
import os
import random
import re
import socket
import struct
import subprocess
import time

from lab import HOST, MIB, OTHER, SERVER, check, run
from wire import DM, IAC, Control, anna, drain, reset

FORGED = "227 Entering passive mode (10,0,0,1,0,22)"


@contextlib.contextmanager
def capture(expression):
    """Packets on the link, a line each; they are there when the block is left."""
    packets = []
    # Whole packets would leave room for a few at once: its buffer has a place of that size for each.
    command = ["tcpdump", "-nli", "tap0", "-s", "200", "--immediate-mode", expression]
    seen = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while "listening" not in seen.stderr.readline():
            check(seen.poll() is None, "tcpdump ended")
        yield packets
        time.sleep(1)  # a SYN would have been sent again by then
    finally:
        seen.terminate()
        packets += seen.communicate(timeout=5)[0].splitlines()


def comma(address, port):
    return f"{address.replace('.', ',')},{port >> 8},{port & 255}"


def served(control):
    """Whether all is well."""
    control.ask("NOOP", 200)
    check(control.fetch("README.txt"), "no more downloads after this")


# Data connections

def bounce(_):
    """PORT and EPRT elsewhere, or to a system port: refused, and nothing is sent there."""
    elsewhere = [(OTHER, 5000), (SERVER, 7), ("127.0.0.1", 5000), ("10.9.9.9", 5000),
                 (HOST, 600), (HOST, 1023), (HOST, 0)]
    # What the server says of itself, by mDNS and ARP, it says to all.
    with capture(f"src {SERVER} and (dst not {HOST} or tcp[tcpflags] == tcp-syn)"
                 f" and not udp port 5353 and not (arp and dst {SERVER})") as packets, \
            socket.create_server((OTHER, 5000)), socket.create_server((HOST, 600)), \
            socket.create_server((HOST, 1024)) as proper, Control() as control:
        for address, port in elsewhere:
            for line in (f"PORT {comma(address, port)}", f"EPRT |1|{address}|{port}|"):
                control.ask(line, 504)
                # Without a port it is the client's own, where nobody listens.
                control.ask("RETR README.txt", 150)
                control.want(425)
        control.ask(f"PORT {comma(HOST, 1024)}", 200)
        control.ask("RETR README.txt", 150)
        check(drain(proper.accept()[0]), "the client itself gets nothing")
        control.want(226)
        own = control.socket.getsockname()[1]
    called = {tuple(found) for line in packets for found in re.findall(r"> ([\d.]+)\.(\d+): ", line)}
    wanted = {(HOST, "1024"), (HOST, str(own))}
    check(called == wanted and not any("ARP" in line for line in packets),
          "this was on the wire:\n" + "\n".join(packets))


def connects(address, port):
    with socket.socket() as thief:
        thief.settimeout(2)
        thief.bind((address, 0))
        try:
            thief.connect((SERVER, port))
            return True
        except OSError:
            return False


def theft(_):
    """Another address connects first, and while the owner is there: it is never answered with
    SYN and ACK, and the owner is served all the same."""
    with capture(f"src {SERVER} and tcp src portrange 49152-65535") as packets, Control() as control:
        for number in range(10):
            port = control.passive_port()
            check(not connects(OTHER, port), "another address got the data connection")
            control.ask(f"STOR {number}.bin", 150)
            check(not connects(OTHER, port), "another address got it after 150")
            with socket.create_connection((SERVER, port), 10) as data:
                check(not connects(OTHER, port), "another address got a second one")
                data.sendall(b"mine")
            control.want(226)
            check(control.fetch(f"{number}.bin") == b"mine", "somebody else's bytes are there")
    to_other = [line for line in packets if f"> {OTHER}." in line]
    accepted = [line for line in packets if f"> {HOST}." in line and "Flags [S.]" in line]
    check(not any("Flags [S" in line for line in to_other), "answered:\n" + "\n".join(to_other))
    check(len(to_other) >= 30 and len(accepted) >= 20, "not all was seen:\n" + "\n".join(packets))


def some_ports(lab):
    lab.stop()
    lab.start("plain", [])
    with Control() as control:
        return [control.passive_port() for _ in range(200)]


def guess(lab):
    """Passive ports come in no order, and in another one after each start."""
    ports, again = some_ports(lab), some_ports(lab)
    check(len(set(ports)) > 190, f"they repeat: {ports}")
    steps = [(b - a) % 16384 for a, b in zip(ports, ports[1:])]
    check(len(set(steps)) > 190, f"their distances repeat: {steps}")
    check(max(ports) - min(ports) > 12_000, f"they lie close together: {sorted(ports)}")
    check(len(set(ports) & set(again)) < 20, f"they repeat after a start: {ports} {again}")


def killed_transfers(lab):
    """The client goes in the middle of transfers, in every order: nothing is left of them."""
    content = os.urandom(4 * MIB)
    (lab.root / "there.bin").write_bytes(content)
    for number in range(200):
        control = anna()
        data = control.passive()
        control.send(("RETR there.bin", "STOR up.bin", "NLST", "APPE there.bin")[number % 4])
        if number // 4 % 2:
            control.want(150)
        if number % 2:
            data.sendall(content[:number * 1000])
        ends = (control.socket, data) if number // 8 % 2 else (data, control.socket)
        for end in ends:
            reset(end)
    time.sleep(0.5)
    check(os.listdir(lab.root) == ["there.bin"], f"left over: {os.listdir(lab.root)}")
    with contextlib.ExitStack() as stack:
        # There are 64 data connections, which all can be had again.
        for control in [stack.enter_context(anna()) for _ in range(64)]:
            stack.enter_context(control.passive())
    with anna() as control:
        check(control.fetch("there.bin") == content, "the file is another one")


def restart(lab):
    """REST at the ends of what numbers can be, on a real file."""
    (lab.root / "there.bin").write_bytes(b"0123456789")
    with anna() as control:
        for offset in (-1, 1 << 63, (1 << 64) - 1, 1 << 64, (1 << 64) + 5, 10 ** 40, "5x", "0x5"):
            control.ask(f"REST {offset}", 501)
            check(control.fetch("there.bin") == b"0123456789", f"begins at {offset}")
        for offset in (11, 1 << 31, 1 << 32, (1 << 63) - 1):
            control.ask(f"REST {offset}", 350)
            with control.passive() as data:
                if control.ask("RETR there.bin", 150, 554)[0] == 150:
                    check(drain(data) == b"", f"something lies behind {offset}")
                    control.want(226)
            control.ask(f"REST {offset}", 350)
            control.ask("STOR there.bin", 554)
        check((lab.root / "there.bin").read_bytes() == b"0123456789", "the file is another one")


# Lines

def verbs(control):
    words = control.ask("HELP", 214)[1].split("\n")[1:-1]
    found = [verb.rstrip("*") for line in words for verb in line.split()]
    check(len(found) > 40, f"HELP names {found} only")
    return found


def long_arguments(_):
    with Control() as control:
        for verb in verbs(control):
            control.ask(f"{verb} {'a/' * 16384}\rDELE README.txt\r{'x' * 32768}", 500)
        served(control)


def endless_line(_):
    with Control() as control:
        for _ in range(10):
            control.socket.sendall(b"DELE README.txt\r" * 65536)
        control.ask("", 500)
        served(control)


def split_line(_):
    """What is behind the longest line is no command, wherever it is cut off."""
    with Control() as control:
        for length in range(200, 600):
            control.ask("x" * length + "DELE README.txt", 500)
        served(control)


def http(_):
    """A browser's request, and one that has nothing between its first line and the commands."""
    body = "USER anonymous\r\nPASS x\r\nDELE README.txt\r\n" * 10
    headers = (f"Host: {SERVER}\r\nAccept: */*\r\nUser-Agent: x\r\nContent-Type: text/plain\r\n"
               f"Content-Length: {len(body)}\r\n\r\n")
    for request in (headers + body, body):
        with Control(user=None) as control:
            control.want(220)
            control.send("POST / HTTP/1.1\r\n" + request)
            check(control.closed(), "the connection stays open")
            replies = control.unread.decode(errors="backslashreplace")
            check("331" not in replies and "230" not in replies,
                  f"commands of an HTTP body were done:\n{replies}")
    with Control() as control:
        served(control)


def other_protocols(_):
    """TLS, SSH, SMTP, random bytes: closed after a few lines."""
    hellos = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500) + b"\n" * 5,
              b"SSH-2.0-x\r\n" * 5, b"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n.\r\n",
              b"\n".join(os.urandom(100) for _ in range(20)) + b"\n" * 5]
    for hello in hellos:
        with Control(user=None) as control:
            control.want(220)
            control.socket.sendall(hello)
            check(control.closed(), f"stays open after {hello[:20]}")
            check(b"\r\n421 " in b"\r\n" + control.unread, f"no 421, but {control.unread}")
    with Control() as control:
        served(control)


def before_tls(_):
    """What comes in one segment with AUTH is neither kept for later nor swallowed."""
    with Control(user=None) as control:
        control.want(220)
        control.send("AUTH TLS\r\nUSER anonymous\r\nPASS x\r\nPWD")
        control.want(502)
        control.want(331)
        control.want(230)
        control.want(257)
        served(control)


def telnet(_):
    with Control() as control:
        control.socket.sendall((IAC + b"\xf1") * MIB)
        control.socket.sendall((IAC + b"\xfd\x01") * MIB)
        control.socket.sendall(IAC + b"\xfa" + b"x" * MIB + IAC + b"\xf0")
        for _ in range(100):
            control.socket.send(IAC + DM, socket.MSG_OOB)
        control.ask("NOOP", 200)
        control.socket.sendall(IAC * 2 * MIB)
        control.ask("", 500)
        served(control)
        control.socket.sendall(IAC)
    with Control() as control:
        served(control)


# Frames

def everything(link):
    """The frames that came and went so far."""
    link.settimeout(0.2)
    found = []
    with contextlib.suppress(TimeoutError):
        while True:
            found.append(link.recv(4096))
    return found


@contextlib.contextmanager
def as_on_a_wire():
    """In the block, the host's kernel sends no frames but those that a wire could carry, with
    their checksums in them."""
    run("ethtool", "-K", "tap0", "tx", "off")
    try:
        yield
    finally:
        # Without offload there is nothing to be switched on, and ethtool says so.
        subprocess.run(["ethtool", "-K", "tap0", "tx", "on"], capture_output=True, timeout=5)


def frames(_):
    """What a session sent, again: whole, cut off, with a byte changed; and noise of all lengths."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    with packets as link, as_on_a_wire():
        link.bind(("tap0", 0))
        with Control() as control:
            control.store("sent.bin", os.urandom(10_000))
            served(control)
        own = link.getsockname()[4]
        ours = [frame for frame in everything(link) if frame[6:12] == own]
        check(len(ours) > 20, f"{len(ours)} frames of a session were heard")
        chance = random.Random(1)
        for _ in range(20_000):
            frame = bytearray(chance.choice(ours))
            match chance.randrange(4):
                case 0:
                    frame = frame[:chance.randrange(14, len(frame) + 1)]
                case 1:
                    frame[chance.randrange(12, len(frame))] ^= 1 << chance.randrange(8)
                case 2:
                    frame[16:] = chance.randbytes(chance.randrange(1498))
            link.send(frame)
        for frame in ours:  # with the hardware address that is right
            link.send(frame)
    with Control() as control:
        served(control)
        check(len(control.fetch("sent.bin")) == 10_000, "the file is another one")


def checksum(segment, protocol):
    """Of a segment from the host to the server (RFC 9293 3.1, RFC 768)."""
    pseudo = socket.inet_aton(HOST) + socket.inet_aton(SERVER)
    padded = pseudo + struct.pack("!HH", protocol, len(segment)) + segment + bytes(len(segment) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


def damaged(_):
    """What has a wrong checksum is not answered, whoever has to see that; what follows it is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard, \
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as raw:
        heard.bind((HOST, 50_555))
        heard.settimeout(5)
        for text, damage in ((b"wrong", 1), (b"right", 0)):
            segment = struct.pack("!4H", 50_555, 7, 8 + len(text), 0) + text
            total = checksum(segment, socket.IPPROTO_UDP) ^ damage
            raw.sendto(segment[:6] + struct.pack("!H", total) + text, (SERVER, 0))
        check(heard.recv(100) == b"right", "the damaged datagram was answered")
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.bind((HOST, 0))
        raw.settimeout(5)
        wrong, right, answered = 50_556, 50_557, None
        for port, damage in ((wrong, 1), (right, 0)):
            segment = struct.pack("!2H2I4H", port, 7, 1, 0, 0x5002, 1000, 0, 0)
            total = checksum(segment, socket.IPPROTO_TCP) ^ damage
            raw.sendto(segment[:16] + struct.pack("!2H", total, 0), (SERVER, 0))
        while answered not in (wrong, right):  # other connections are heard here as well
            answered, = struct.unpack("!H", raw.recv(65_536)[22:24])
        check(answered == right, "the damaged segment was answered")


# Names

def hostile_names(lab):
    """Names that somebody else put there: neither a listing nor the log has their controls."""
    name, logged = f"a\r\n{FORGED}\x1b[2J", lab.log_since_mark()
    (lab.root / name).write_bytes(b"x")
    (lab.root / "d").mkdir()
    (lab.root / "d" / f"\n{FORGED}").write_bytes(b"x")
    with anna() as control:
        for command in ("LIST", "NLST", "MLSD", "LIST a*", "NLST d", "NLST d/*"):
            data = control.passive()
            control.ask(command, 150)
            listing = drain(data).decode()
            control.want(226)
            lines = listing.split("\r\n")
            check(FORGED in listing and lines.pop() == "", f"{command}: {listing!r}")
            check(not any(line.startswith("227") for line in lines), f"{command}: {listing!r}")
            check("".join(lines).isprintable(), f"{command}: {listing!r}")
        for line in control.ask("STAT /", 212, 211)[1].split("\n"):
            check(line.isprintable() and not line.startswith("227"), f"STAT: {line!r}")
    with Control(user=None) as control:
        control.want(220)
        control.ask(f"USER \x1b[31m\r{FORGED[:20]}", 331, 501)
        control.ask("PASS x", 530, 503)
    with anna() as control:
        control.ask(f"DELE x\r{FORGED}", 501)
        control.ask("DELE \x1b]0;owned\x07", 501)
        control.ask("DELE \u202egpj.exe", 550)
    log = lab.log_since_mark()[len(logged):]
    check("\\u{1b}[31m" in log, f"the name is not in the log:\n{log}")
    check(all(line[:3] == "202" and line.isprintable() for line in log.splitlines()),
          f"forged: {log!r}")


DOWN = ("RETR", "LIST", "NLST", "MLSD")
UP = ("STOR", "STOU", "APPE")
SESSION = ("USER", "PASS", "REIN", "QUIT")  # of which none takes a path


def traversal(lab):
    """Every verb, with paths that lead out if any do: what is outside is neither shown nor
    changed."""
    secret, content = lab.base / "secret", b"nobody's business"
    secret.write_bytes(content)
    secret.chmod(0o640)
    os.utime(secret, (1_500_000_000, 1_500_000_000))
    before, there = secret.stat(), sorted(os.listdir(lab.base))
    paths = [f"{up}secret" for up in ("../", "..//", "/../", "d/../../", "..\\", "./.././", "...//",
                                      "../" * 20, "link/", "/link/./", "link/../", "%2e%2e/")]
    paths += [str(secret), "direct", "..\0/secret", "secret\0.txt", "../secret.", "..", "link"]
    forms = ["{0}", "20000229123456 {0}", "modify=20000229123456; {0}",
             "CHMOD 777 {0}", "UTIME 20000229123456 {0}"]
    with anna() as control:
        all_verbs = set(verbs(control)) - set(SESSION)
    for verb in sorted(all_verbs):
        reset_root(lab)
        with anna() as control:
            for path in paths:
                for form in forms if verb in ("MFMT", "MFF", "SITE") else forms[:1]:
                    try_path(control, verb, form.format(path), content)
    after = secret.stat()
    check(secret.read_bytes() == content, "it was written to")
    check((after.st_mtime, after.st_mode) == (before.st_mtime, before.st_mode), "it was changed")
    check(sorted(os.listdir(lab.base)) == there, f"{os.listdir(lab.base)} are outside")


def reset_root(lab):
    lab.clear()
    (lab.root / "d").mkdir()
    (lab.root / "inside").write_bytes(b"inside")
    (lab.root / "link").symlink_to("..")
    (lab.root / "direct").symlink_to(lab.base / "secret")


def try_path(control, verb, path, content):
    """One verb with one path, with all that belongs to it; nothing of the secret comes."""
    if verb == "RNTO":
        control.ask("DELE inside", 250, 550)
        control.store("inside", b"inside")
        control.ask("RNFR inside", 350)
    data = control.passive() if verb in DOWN + UP else contextlib.nullcontext()
    with data:
        code, words = control.ask(f"{verb} {path}", *range(200, 600), 150)
        came = b""
        if code == 150:
            if verb in DOWN:
                came = drain(data)
            else:
                data.sendall(b"written")
                data.close()
            control.want(226, 250, 425, 426, 450, 451, 550, 553)
    told = words == f"213 {len(content)}" or hashlib.sha256(content).hexdigest() in words
    check(content not in came and not told,
          f"{verb} {path} shows it: {came!r} {words}")


# What takes long

def deep_and_wide(lab):
    """Recursion, and patterns that match much: done at once, or refused, and nobody waits."""
    deep = lab.root / "/".join("d" * 80)
    deep.mkdir(parents=True)
    for number in range(200):
        (lab.root / f"{'a' * 200}{number}").mkdir()
    with anna() as control, anna() as other:
        for argument in ("-R", "-R /", "*/../*/../*/../*", "*/*/*/*/*", "a*" * 100 + "b", "?" * 200,
                         "d/" * 79, "[" * 100, "{a,b}" * 40, "~" * 200, "*" * 200):
            for verb in ("LIST", "NLST"):
                data, begin = control.passive(), time.monotonic()
                control.send(f"{verb} {argument}")
                other.ask("NOOP", 200)
                if control.want(150, 550)[0] == 150:
                    check(len(drain(data)) < MIB, f"{verb} {argument} lists too much")
                    control.want(226)
                data.close()
                seconds = time.monotonic() - begin
                check(seconds < 1, f"{verb} {argument} took {seconds:.1f} s")


CASES = [
    ("plain", "attack", "data", "bounce", bounce),
    ("plain", "attack", "data", "theft", theft),
    ("plain", "attack", "data", "passive ports cannot be guessed", guess),
    ("files", "attack", "data", "200 transfers killed", killed_transfers),
    ("files", "attack", "data", "REST out of range", restart),
    ("plain", "attack", "lines", "64 KiB to every verb", long_arguments),
    ("plain", "attack", "lines", "10 MiB without an end", endless_line),
    ("plain", "attack", "lines", "cut off anywhere", split_line),
    ("plain", "attack", "lines", "HTTP POST", http),
    ("plain", "attack", "lines", "other protocols", other_protocols),
    ("plain", "attack", "lines", "AUTH TLS and more in one segment", before_tls),
    ("plain", "attack", "lines", "floods of IAC", telnet),
    ("plain", "attack", "frames", "replayed, cut off, changed, random", frames),
    ("plain", "attack", "frames", "damaged", damaged),
    ("files", "attack", "names", "controls in names", hostile_names),
    ("files", "attack", "names", "traversal with every verb", traversal),
    ("files", "attack", "time", "deep trees, wide patterns", deep_and_wide),
]
