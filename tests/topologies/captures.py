"""Captures of what is on a device, and what tshark thinks of them."""

import re
import signal
import subprocess
import time

from lab import Failure, check

# Wireshark verifies only the checksums that it is told to.
VERIFY = [word for protocol in ("ip", "tcp", "udp")
          for word in ("-o", f"{protocol}.check_checksum:TRUE")]
WRONG = " || ".join([
    '_ws.expert.severity == "Error"',
    # lftp puts a zone behind a link-local address, of which Wireshark does not know.
    "(_ws.malformed && !ftp.eprt.args_invalid)",
    *(f'{protocol}.checksum.status == "Bad"'
      for protocol in ("ip", "udp", "icmp", "icmpv6", "igmp")),
    # Linux writes a sum of 0 as 0xFFFF, which is as right, but not to Wireshark.
    '(tcp.checksum.status == "Bad" && !tcp.checksum.ffff)'])


def tshark(file, where, *options):
    """The frames of a capture file that a display filter lets through, a line each."""
    done = subprocess.run(["tshark", "-n", *VERIFY, *options, "-Y", where, "-r", file],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    # 2: the last frame is still being written
    check(done.returncode in (0, 2), f"tshark: {done.stderr}")
    return done.stdout.splitlines()


def wrong_frames(file):
    """Malformed or with a bad checksum, as tshark sees them."""
    return tshark(file, WRONG)


class Capture:
    """What is on a device of a host. It is recorded on another one, if that is said."""

    def __init__(self, host, device, recorder, tape):
        self.name = f"{host.name} {device}"
        self.file = host.network.base / f"{host.name}-{device}.pcap"
        # -U and --immediate-mode: a frame is in the file as soon as it was on the device.
        self.process = recorder.start(
            "tcpdump", "-Z", "root", "-U", "--immediate-mode", "-B", "65536", "-s", "0",
            "-ni", tape, "-w", self.file, stderr=subprocess.PIPE, text=True)
        self.frames = None  # known when it is stopped
        while "listening" not in (line := self.process.stderr.readline()):
            check(line, "tcpdump ended")

    def fields(self, where, *fields, since=0):
        """The fields of each frame that the display filter lets through, after that time."""
        time.sleep(0.1)  # what was sent last gets its way into the file
        asked = [word for field in fields for word in ("-e", field)]
        lines = tshark(self.file, f"frame.time_epoch >= {since} && ({where})",
                       "-T", "fields", *asked)
        return [tuple(line.split("\t")) for line in lines]

    def stop(self):
        """Ends the capture; how many frames it has."""
        if self.frames is None:
            self.process.send_signal(signal.SIGINT)
            _, words = self.process.communicate(timeout=10)
            found = re.search(r"(\d+) packets captured", words)
            check(found, f"tcpdump does not tell what it has captured: {words}")
            self.frames = int(found[1])
        return self.frames


def check_captures(captures):
    """The last case of each topology; what there was to check."""
    total, wrong = 0, []
    for capture in captures:
        frames = capture.stop()
        check(frames > 0, f"nothing was captured on {capture.name}")
        total += frames
        wrong += [f"{capture.name}: {line}" for line in wrong_frames(capture.file)]
    if wrong:
        raise Failure("\n".join([f"{len(wrong)} of {total} frames are wrong:", *wrong[:20]]))
    return f"{total:,} frames"
