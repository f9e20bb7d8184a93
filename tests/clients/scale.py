"""Many clients: 10,000 that are idle, 256 transfers at once, and a storm of them in a flood of
requests that nobody means."""

import contextlib
import os
import random
import re
import resource
import select
import socket
import struct
import subprocess
import sys
import threading
import time

from lab import MIB, PASSWORD, SERVER, USER, Failure, check, digest, run
from wire import Control, anna, drain

SESSIONS, TRANSFERS = 10_000, 256
# Bytes of memory that an idle session may take, all told.
MEMORY = 4096
SERVED = ["--root", "ROOT", "--user", f"{USER}:{PASSWORD}", "--anonymous", "ro"]
MANY = [*SERVED, "--max-sessions", str(SESSIONS + 1000), "--max-transfers", str(TRANSFERS)]
# Half of these may be half-open: less than the requests of a flood that come before the clients.
FEWER = [*SERVED, "--max-sessions", "4000"]
# Requests of a flood, and how many of them a second.
FLOOD, FLOOD_RATE = 20_000, 20_000


def memory(lab):
    """Bytes of the server's own that are in memory."""
    with open(f"/proc/{lab.server.pid}/status") as file:
        return int(re.search(r"RssAnon:\s*(\d+) kB", file.read())[1]) << 10


@contextlib.contextmanager
def serving(lab, arguments):
    """A server of this case alone, and room for as many sockets as it needs."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = SESSIONS + 2000
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(most, wanted)))
    lab.start("scale", arguments)
    try:
        yield
    finally:
        lab.stop()


def ten_thousand(lab):
    """What they take, and that nothing takes longer or fails for them."""
    with serving(lab, [*SERVED, "--max-sessions", "1"]):
        before = memory(lab)
    with serving(lab, MANY), contextlib.ExitStack() as stack:
        idle = [stack.enter_context(anna(image=False)) for _ in range(SESSIONS)]
        each = (memory(lab) - before) / SESSIONS
        check(each < MEMORY, f"each takes {each:.0f} bytes, and {MEMORY} are too many")
        for at in range(0, SESSIONS, 100):
            idle[at].ask("NOOP", 200)
        everything(lab)
        transfers(lab)
        for at in range(0, SESSIONS, 100):
            idle[at].ask("PWD", 257)


def everything(lab):
    url = f"ftp://{USER}:{PASSWORD}@{SERVER}/"
    run("curl", "-sS", "--max-time", "20", "-T", lab.large, url + "large", timeout=25)
    check(digest(lab.root / "large") == lab.large_sum, "another file was stored")
    run("curl", "-sS", "--max-time", "20", "-o", lab.local / "large", url + "large", timeout=25)
    check(digest(lab.local / "large") == lab.large_sum, "another file came back")
    check("large" in run("curl", "-sS", "--max-time", "20", url), "it is not listed")
    words = os.urandom(MIB)
    with socket.create_connection((SERVER, 7), 10) as echo:
        sender = threading.Thread(target=lambda: (echo.sendall(words), echo.shutdown(1)))
        sender.start()
        check(drain(echo) == words, "the echo is another")
        sender.join()


def transfers(lab):
    """As many as there may be, each of them half done while the others begin; and one more."""
    content = os.urandom(4 * MIB)
    (lab.root / "file").write_bytes(content)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(anna()) for _ in range(TRANSFERS)]
        begun = []
        for client in clients:
            # Its buffer and ours cannot hold all of it.
            data = stack.enter_context(client.passive(receive_buffer=65536))
            client.ask("RETR file", 150)
            begun.append(data)
        with anna() as late:
            late.ask("EPSV", 425)
        for client, data in zip(clients, begun):
            check(drain(data) == content, "another file came")
            client.want(226)


def storm(clients, flooded):
    """Clients who come all at once, beside one who is there; with a flood that begins before."""
    def play(lab):
        with serving(lab, FEWER), anna() as quiet:
            stop = threading.Event()
            flood = subprocess.Popen(["true"])
            if flooded:
                flood = subprocess.Popen(["/usr/bin/python3", __file__, hardware()])
                time.sleep(0.2)
            longest = [0]
            probe = threading.Thread(target=ask_often, args=(quiet, stop, longest))
            probe.start()
            try:
                come_at_once(clients, lab.seconds_left())
            finally:
                stop.set()
                probe.join()
                flood.terminate()
                flood.wait()
            check(longest[0] < 1, f"NOOP took {longest[0]:.1f} s meanwhile")
    return play


def hardware():
    """The server's address on the link."""
    return re.search(r"lladdr (\S+)", run("ip", "neigh", "show", SERVER))[1]


def ask_often(control, stop, longest):
    while not stop.wait(0.01):
        begin = time.monotonic()
        control.ask("NOOP", 200)
        longest[0] = max(longest[0], time.monotonic() - begin)


def come_at_once(count, seconds):
    """All connect, then all log in; nobody is turned away."""
    poll, left = select.epoll(), {}
    for _ in range(count):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex((SERVER, 21))
        left[client.fileno()] = (client, [b"230", b"331", b"220"])
        poll.register(client, select.EPOLLIN)
    lines, sockets = {b"220": b"USER anonymous\r\n", b"331": b"PASS guest\r\n"}, list(left.values())
    end = time.monotonic() + seconds
    while left and time.monotonic() < end:
        for number, _ in poll.poll(0.5):
            client, codes = left[number]
            try:
                reply = client.recv(500)
            except OSError as error:
                raise Failure(f"a client got {error}; {len(left)} are not in") from None
            check(reply.startswith(codes[-1]), f"a client was told {reply}")
            if code := lines.get(codes.pop()):
                client.sendall(code)
            if not codes:
                poll.unregister(client)
                del left[number]
    for client, _ in sockets:
        client.close()
    check(not left, f"{len(left)} of {count} did not get in")


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack("!H", ~total & 0xffff)


def request(server):
    """A packet that asks for a connection, from an address that does not exist."""
    me = struct.pack("!I", (10 << 24) | random.getrandbits(24))
    tcp = struct.pack("!HHIIBBHHH", random.randrange(1024, 65536), 21, random.getrandbits(32),
                      0, 0x50, 2, 65535, 0, 0)
    sum_of_tcp = checksum(me + server + struct.pack("!BBH", 0, 6, len(tcp)) + tcp)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0x4000, 64, 6, 0) + me + server
    return ip[:10] + checksum(ip) + ip[12:] + tcp[:16] + sum_of_tcp + tcp[18:]


def flood_with_requests(hardware):
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    link.bind(("tap0", 0))
    head = bytes.fromhex(hardware.replace(":", "")) + b"\x02\0\0\0\7\1" + b"\x08\0"
    server, begin = socket.inet_aton(SERVER), time.monotonic()
    for number in range(FLOOD):
        with contextlib.suppress(OSError):  # the queue is full
            link.send(head + request(server))
        time.sleep(max(0, begin + number / FLOOD_RATE - time.monotonic()))


CASES = [
    ("none", "scale", "idle", f"{SESSIONS:,} sessions, {TRANSFERS} transfers", ten_thousand, 60),
    ("none", "scale", "storm", "300 clients at once", storm(300, False)),
    ("none", "scale", "storm", "300 clients at once in a flood", storm(300, True)),
    ("none", "scale", "storm", "3,000 clients at once in a flood", storm(3000, True)),
]

if __name__ == "__main__":
    flood_with_requests(sys.argv[1])
