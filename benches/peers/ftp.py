"""An FTP client that costs as little as one in Python can: what is measured is the server."""

import re
import socket

PATIENCE = 60  # seconds


class Refused(Exception):
    """A reply is not the one that was hoped for."""


def connect(address, port=21):
    return socket.create_connection((address, port), timeout=PATIENCE)


class Session:
    """A control connection. What is asked and what is answered are apart, so that many sessions
    may wait at once."""

    def __init__(self, address):
        self.address = address
        self.socket = connect(address)
        self.received = b""

    def expect(self, *codes):
        """The last line of a reply, which has to begin with one of these (RFC 959 4.2)."""
        line = self._line()
        if line[3:4] == b"-":
            end = line[:3] + b" "
            while not line.startswith(end):
                line = self._line()
        if not line.startswith(codes):
            raise Refused(line.decode(errors="backslashreplace"))
        return line

    def _line(self):
        while b"\n" not in self.received:
            more = self.socket.recv(4096)
            if not more:
                raise Refused("the server has closed the connection")
            self.received += more
        line, self.received = self.received.split(b"\n", 1)
        return line

    def send(self, line):
        self.socket.sendall(line + b"\r\n")

    def say(self, line, *codes):
        self.send(line)
        return self.expect(*codes)

    def log_in(self, user, password):
        self.expect(b"220")
        # Some have no question for a password of "anonymous".
        if self.say(b"USER " + user.encode(), b"331", b"230").startswith(b"331"):
            self.say(b"PASS " + password.encode(), b"230")

    def quit(self):
        self.say(b"QUIT", b"221")
        self.socket.close()

    def close(self):
        self.socket.close()

    def data_connection(self, command):
        numbers = re.search(rb"\((?:\d+,){4}(\d+),(\d+)\)", self.say(b"PASV", b"227"))
        port = int(numbers[1]) * 256 + int(numbers[2])
        self.send(command)
        data = connect(self.address, port)
        self.expect(b"1")
        return data

    def retrieve(self, name):
        with self.data_connection(b"RETR " + name) as data:
            content = read(data)
        self.expect(b"226")
        return content

    def store(self, name, content):
        with self.data_connection(b"STOR " + name) as data:
            data.sendall(content)
        self.expect(b"226")


def read(data):
    """All that there is up to the end of the connection."""
    blocks = []
    while block := data.recv(65536):
        blocks.append(block)
    return b"".join(blocks)


def log_in_at_once(address, account, count):
    """That many sessions, all of which wait for the server at the same time."""
    user, password = (word.encode() for word in account)
    sessions = [Session(address) for _ in range(count)]
    for session in sessions:
        session.expect(b"220")
        session.send(b"USER " + user)
    asked = [session for session in sessions
             if session.expect(b"331", b"230").startswith(b"331")]
    for session in asked:
        session.send(b"PASS " + password)
    for session in asked:
        session.expect(b"230")
    return sessions
