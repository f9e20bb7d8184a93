"""Log lines that come as frames of defmt, read with the symbols of the firmware's ELF file."""

import json
import subprocess


def lines(output, elf):
    """Each line as a text, such as "info 192.168.69.100:40000 connected"."""
    symbols = read_symbols(elf)
    # What comes before the first frame is none of it; the last one may not be complete.
    return [line(unpack(frame), symbols) for frame in output.split(b"\0")[1:-1] if frame]


def read_symbols(elf):
    """What each number stands for: defmt makes it the address of a symbol whose name is JSON."""
    listing = subprocess.run(["readelf", "-sW", elf], check=True, capture_output=True, text=True)
    symbols = {}
    for row in listing.stdout.splitlines():
        if '{"package"' in row:
            symbols[int(row.split()[1], 16)] = json.loads(row[row.index("{"):])
    return symbols


def unpack(frame):
    """The bytes in a frame, and perhaps zeros behind them. In rzCOBS a code stands behind the
    bytes that it is about, so it is read from its end."""
    rest, data = bytearray(frame), bytearray()
    while rest:
        code = rest.pop()
        if code == 0xff:
            data += take(rest, 134)
        elif code & 0x80:
            data += b"\0" + take(rest, (code & 0x7f) + 7)
        else:
            # Of seven bytes, those that are zero.
            for bit in reversed(range(7)):
                data += b"\0" if code >> bit & 1 else take(rest, 1)
    return bytes(reversed(data))


def take(rest, count):
    """The last bytes, in reverse."""
    taken = rest[-count:]
    del rest[-count:]
    return bytes(reversed(taken))


def line(data, symbols):
    """The number of the line's text, and for each pair of braces a number that says that a text
    follows, which ends with 0xff."""
    symbol, data = symbols[number(data)], data[2:]
    text = ""
    for piece in symbol["data"].split("{}")[:-1]:
        kind = symbols[number(data)]["data"]
        if kind != "{=__internal_Display}":
            raise ValueError(f"{kind} in a frame")
        value, data = data[2:].split(b"\xff", 1)
        text += piece + value.decode()
    text += symbol["data"].split("{}")[-1]
    return symbol["tag"].removeprefix("defmt_") + " " + text


def number(data):
    return int.from_bytes(data[:2], "little")
