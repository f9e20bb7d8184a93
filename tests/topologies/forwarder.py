"""A bad path: what stands between two TAP devices, and loses, doubles and delays frames.

    forwarder.py DESCRIPTOR DESCRIPTOR PERCENT SEED

The descriptors are of the devices. In each direction each frame is lost with that probability; one
that is not lost is sent twice with that probability, and, with the same again, held back for some
milliseconds, so that those behind it overtake it. SIGTERM ends it, and it tells what it did."""

import fcntl
import heapq
import itertools
import os
import random
import select
import signal
import struct
import sys
import time

FRAME_MAX = 65536
AT_ONCE = 64  # frames of one direction, before the other's turn
HELD = (0.001, 0.010)  # seconds

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 2, 0x1000


def open_tap(device):
    """The program's end of a TAP device of this thread's network namespace."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TAP | IFF_NO_PI))
    return descriptor


class Path:
    """One direction."""

    def __init__(self, source, target, fraction, seed):
        self.source, self.target, self.fraction = source, target, fraction
        self.chance = random.Random(seed).random
        self.held, self.order = [], itertools.count()
        self.frames = self.lost = self.doubled = self.delayed = 0

    def carry(self):
        """What has come, but for so many frames."""
        for _ in range(AT_ONCE):
            try:
                frame = os.read(self.source, FRAME_MAX)
            except BlockingIOError:
                return
            self.frames += 1
            if self.chance() < self.fraction:
                self.lost += 1
                continue
            if self.chance() < self.fraction:
                self.doubled += 1
                self.send(frame)
            if self.chance() < self.fraction:
                self.delayed += 1
                due = time.monotonic() + HELD[0] + (HELD[1] - HELD[0]) * self.chance()
                heapq.heappush(self.held, (due, next(self.order), frame))
            else:
                self.send(frame)

    def release(self, now):
        """Sends what was held back long enough; when the next frame is due."""
        while self.held and self.held[0][0] <= now:
            self.send(heapq.heappop(self.held)[2])
        return self.held[0][0] if self.held else None

    def send(self, frame):
        try:
            os.write(self.target, frame)
        except OSError:  # the device is not up yet, or its queue is full
            self.lost += 1

    def __str__(self):
        return (f"{self.frames} frames, {self.lost} lost, {self.doubled} doubled, "
                f"{self.delayed} delayed")


def forward(paths):
    poll = select.poll()
    by_source = {path.source: path for path in paths}
    for source in by_source:
        poll.register(source, select.POLLIN)
    while True:
        now = time.monotonic()
        due = [at for path in paths if (at := path.release(now)) is not None]
        wait = None if not due else max(0, (min(due) - now) * 1000)
        for source, _ in poll.poll(wait):
            by_source[source].carry()


def main():
    one, other, percent, seed = map(int, sys.argv[1:])
    paths = [Path(one, other, percent / 100, seed), Path(other, one, percent / 100, seed + 1)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        forward(paths)
    finally:
        print(*paths, sep="\n", flush=True)


if __name__ == "__main__":
    main()
