"""Whether what is measured is what should be: every kind of transfer, compared by SHA-256."""

import hashlib
import os

import ftp
from experiments import AT_ONCE, ECHOED, curl
from lab import MIB, check, digest
from place import SMALL

REPEATED = 100


def verify(server):
    if "ftp" in server.serves:
        large(server)
        small(server)
        many(server)
    if "echo" in server.serves:
        echo(server)
    server.check_alive()


def large(server):
    fetched, stored = server.files / "large", server.root / "large.stored"
    curl("--output", fetched, server.uri("large", server.reader))
    check(digest(fetched) == server.place.large_digest, f"RETR from {server.title}: not the same")
    fetched.unlink()
    curl("--upload-file", server.place.large, server.uri(stored.name, server.writer))
    check(digest(stored) == server.place.large_digest, f"STOR to {server.title}: not the same")
    stored.unlink()


def small(server):
    session = server.session()
    for _ in range(REPEATED):
        check(session.retrieve(b"small") == SMALL, f"RETR of 1 KiB from {server.title}")
        content = os.urandom(len(SMALL))
        session.store(b"small.stored", content)
        check((server.root / "small.stored").read_bytes() == content,
              f"STOR of 1 KiB to {server.title}")
    session.quit()


def many(server):
    """As many as are at once in the measurements store files of their own and fetch them again."""
    sessions = ftp.log_in_at_once(server.address, server.writer, AT_ONCE)
    digests = [store_one(session, number) for number, session in enumerate(sessions)]
    opened = [(session, session.data_connection(b"RETR many%d" % number))
              for number, session in enumerate(sessions)]
    for (session, data), expected in zip(opened, digests, strict=True):
        with data:
            content = ftp.read(data)
        session.expect(b"226")
        check(sha256(content) == expected, f"RETR of 1 MiB, {AT_ONCE} at once, {server.title}")
    for number, session in enumerate(sessions):
        stored = server.root / f"many{number}"
        check(digest(stored) == digests[number], f"STOR of 1 MiB, {AT_ONCE} at once")
        stored.unlink()
        session.quit()


def store_one(session, number):
    content = os.urandom(MIB)
    session.say(b"TYPE I", b"200")
    session.store(b"many%d" % number, content)
    return sha256(content)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def echo(server):
    with ftp.connect(server.address, 7) as connection:
        for _ in range(REPEATED):
            content = os.urandom(len(ECHOED))
            connection.sendall(content)
            answer = b""
            while len(answer) < len(content):
                more = connection.recv(64)
                check(more, f"{server.title} has closed the echo connection")
                answer += more
            check(answer == content, f"{server.title} echoes something else")
