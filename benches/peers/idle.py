#!/usr/bin/python3
"""Holds idle connections: idle.py ADDRESS PORT [USER PASSWORD]

For each number on standard input it opens connections until there are so many, and prints how
many there are; fewer if the server takes no more. With an account they are logged in to FTP."""

import sys

import ftp


def open_one(address, port, account):
    if not account:
        return ftp.connect(address, port)
    session = ftp.Session(address)
    session.log_in(*account)
    return session


def main():
    address, port, *account = sys.argv[1:]
    connections = []
    for line in sys.stdin:
        try:
            while len(connections) < int(line):
                connections.append(open_one(address, int(port), account))
        except (ftp.Refused, OSError) as error:
            print(f"idle.py: {address} takes no more: {error}", file=sys.stderr)
        print(len(connections), flush=True)


if __name__ == "__main__":
    main()
