"""That the captures of the other topologies would show what is wrong: some that are made wrong."""

import socket
import struct
import time
from pathlib import Path
from typing import NamedTuple

from captures import Capture, wrong_frames
from lab import check
from topology import Case, Topology

ONE, ONE6, OTHER, OTHER6 = "192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2"
FILE_HEADER, FRAME_HEADER, ETHERNET, IPV4, IPV6 = 24, 16, 14, 20, 40
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58


class Place(NamedTuple):
    capture: Capture
    frames: list


def set_up(network):
    """A little of everything between two hosts, all of it right."""
    one, other = network.host("one"), network.host("other")
    network.link(one, "eth0", other, "eth0")
    one.address("eth0", ONE + "/24", ONE6 + "/64")
    other.address("eth0", OTHER + "/24", OTHER6 + "/64")
    capture = one.capture("eth0")
    one.ping(OTHER)
    one.ping(OTHER6)
    for to in (OTHER, OTHER6):
        with other.inside():
            listener = socket.create_server((to, 9), family=family(to))
        with one.inside(), listener:
            with socket.create_connection((to, 9), 5) as stream:
                stream.sendall(b"some words")
            with socket.socket(family(to), socket.SOCK_DGRAM) as datagrams:
                datagrams.sendto(b"some words", (to, 9))
    time.sleep(0.5)
    capture.stop()
    return Place(capture, list(frames_of(capture.file)))


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def frames_of(file):
    """Each frame with the header that it has in the file."""
    content = Path(file).read_bytes()
    at = FILE_HEADER
    while at < len(content):
        end = at + FRAME_HEADER + struct.unpack_from("<I", content, at + 8)[0]
        yield content[at:end]
        at = end


def protocol(frame):
    """Which header is behind that of IP, and at what offset; None if the frame has no IP."""
    packet = FRAME_HEADER + ETHERNET
    if frame[packet] >> 4 == 4:
        return frame[packet + 9], packet + IPV4
    if frame[packet] >> 4 == 6:
        return frame[packet + 6], packet + IPV6
    return None, None


def says(frame):
    return frame.endswith(b"some words")


def spoilt(over_ipv4, number, wanted, change):
    """Of all frames, one has a byte changed; tshark has to find that one."""
    def play(place):
        length = IPV4 if over_ipv4 else IPV6
        found = [index for index, frame in enumerate(place.frames)
                 if protocol(frame) == (number, FRAME_HEADER + ETHERNET + length) and wanted(frame)]
        check(found, "there is no such frame")
        frames = list(place.frames)
        frames[found[0]] = change(bytearray(frames[found[0]]))
        file = place.capture.file.with_suffix(".spoilt")
        header = place.capture.file.read_bytes()[:FILE_HEADER]
        file.write_bytes(header + b"".join(frames))
        wrong = wrong_frames(file)
        check(len(wrong) == 1 and wrong[0].split()[0] == str(found[0] + 1),
              f"frame {found[0] + 1} is wrong, and this was found: {wrong}")
    return play


def flip(offset):
    def change(frame):
        frame[offset] ^= 1
        return frame
    return change


def no_data_offset(frame):
    frame[protocol(frame)[1] + 12] = 0
    return frame


def unspoilt(place):
    check(len(place.frames) > 20, f"{len(place.frames)} frames only")
    check(not wrong_frames(place.capture.file), "something is wrong from the start")


def any_frame(_):
    return True


TIME_TO_LIVE = FRAME_HEADER + ETHERNET + 8
LAST = -1
TOPOLOGIES = [
    Topology("spoilt frames", set_up, [
        Case("none: nothing is found", unspoilt),
        Case("IP header", spoilt(True, ICMP, any_frame, flip(TIME_TO_LIVE))),
        Case("ICMP", spoilt(True, ICMP, any_frame, flip(LAST))),
        Case("ICMPv6", spoilt(False, ICMPV6, any_frame, flip(LAST))),
        Case("UDP", spoilt(True, UDP, says, flip(LAST))),
        Case("UDP over IPv6", spoilt(False, UDP, says, flip(LAST))),
        Case("TCP", spoilt(True, TCP, says, flip(LAST))),
        Case("TCP over IPv6", spoilt(False, TCP, says, flip(LAST))),
        Case("malformed", spoilt(True, TCP, says, no_data_offset)),
    ]),
]
