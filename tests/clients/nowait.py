#!/usr/bin/python3
"""Whether preadv2(RWF_NOWAIT) waits: on ext4, for a file of many pieces, it reads where they are.

    unshare -m tests/clients/nowait.py      (as root; an image below /tmp)"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

PIECES, BLOCK, CHUNK = 8000, 4096, 256 * 1024


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


def write_pieces(path):
    with open(path, "wb") as file:
        for piece in range(PIECES):
            file.seek(piece * 2 * BLOCK)
            file.write(bytes(BLOCK))


def waits(path):
    """Calls that slept, of how many; what they do not bring is read as a worker does."""
    file, buffer = os.open(path, os.O_RDONLY), bytearray(64 * 1024)
    os.pread(file, 1, 0)
    offset = calls = slept = 0
    while offset < os.fstat(file).st_size:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        try:
            count = os.preadv(file, [buffer], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            count = 0
        calls += 1
        slept += resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw > before
        offset += count or len(os.pread(file, CHUNK, offset))
    os.close(file)
    return slept, calls


with tempfile.TemporaryDirectory() as base:
    image, place = Path(base) / "image", Path(base) / "place"
    place.mkdir()
    run("truncate", "-s", "96M", image)
    run("mkfs.ext4", "-q", image)
    run("mount", "-o", "loop", image, place)
    write_pieces(place / "file")
    run("umount", place)
    run("mount", "-o", "loop,ro", image, place)
    try:
        slept, calls = waits(place / "file")
    finally:
        run("umount", place)
    print(f"{slept} of {calls} calls that must not wait have slept")
    sys.exit(slept > 0)
