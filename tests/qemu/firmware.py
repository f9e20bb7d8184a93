#!/usr/bin/python3
"""What the firmware is made of: flash by part, RAM by static, and the ways to a panic.

    firmware.py [ELF]

It reads the program and its debug information with LLVM's tools. A way to a panic is a branch that
leads to where nothing else can come any more; it belongs to the innermost function that is not one
of `core`, inlined or not. tests/qemu/panics.txt has those that may be there."""

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

sys.dont_write_bytecode = True  # this may run as root in somebody's clone

REPO = Path(__file__).resolve().parents[2]
ELF = REPO / "target/lm3s6965/thumbv7m-none-eabi/release/lm3s6965"
ALLOWED = Path(__file__).with_name("panics.txt")

# What is ours, by the beginning of its path.
PARTS = {"src/ftp/": "tinyftp: FTP", "src/net/": "tinyftp: network",
         "src/storage": "tinyftp: storage", "src/": "tinyftp: the rest", "examples/": "the board"}
CORE = "core and compiler_builtins"
SHARED = "code shared by several, by the compiler"
TABLES = "strings and tables"
GAPS = "gaps, for alignment"
TABLE_SECTIONS = (".vectors", ".rodata", ".data")
# The functions that every panic ends in, of which the compiler may make one.
PANIC = ("core::panicking::panic_fmt", "__rustc::rust_begin_unwind")


def llvm(tool, *arguments, data=None):
    command = [f"llvm-{tool}", *map(str, arguments)]
    return subprocess.run(command, input=data, text=True, check=True, stdout=subprocess.PIPE).stdout


def plain(name):
    """The name of a function, as it is written in the source."""
    for code, sign in (("$LT$", "<"), ("$GT$", ">"), ("$u20$", " "), ("$RF$", "&"), ("$C$", ","),
                       ("$u7b$", "{"), ("$u7d$", "}"), ("$u5b$", "["), ("$u5d$", "]"),
                       ("$u3b$", ";"), ("$BP$", "*"), ("$LP$", "("), ("$RP$", ")"), ("_<", "<"),
                       ("..", "::")):
        name = name.replace(code, sign)
    return re.sub(r"(::h[0-9a-f]{16})?( \(\.\d+\))?$", "", name)


def last_name(function):
    """The last name in the path of a function, or of what a closure is in."""
    found = re.search(r"(\w+)(::<.*>)?(::_?\{+[^{}]*\}+)*$", function)
    return found[1] if found else function


# Where code is from.

@dataclass(frozen=True)
class Frame:
    """A function that an instruction is of, perhaps because it was inlined."""
    function: str
    path: str
    line: int

    @property
    def file(self):
        """The path; what is ours begins where the repository does."""
        return self.path.removeprefix(f"{REPO}/")

    @property
    def is_ours(self):
        return self.file.startswith(tuple(PARTS))

    @property
    def part(self):
        if self.is_ours:
            return next(part for start, part in PARTS.items() if self.file.startswith(start))
        if found := re.search(r"/([^/]+)-\d[^/]*/src/", self.path):
            return found[1]
        return CORE


def frames_at(elf, addresses):
    """The frames at each address, the innermost first."""
    asked = "".join(f"{address:#x}\n" for address in addresses)
    told = llvm("symbolizer", "--inlines", "--output-style=JSON", "-e", elf, data=asked)
    for line in told.splitlines():
        yield [Frame(plain(frame["FunctionName"]), frame["FileName"], frame["Line"])
               for frame in json.loads(line)["Symbol"] if frame["FileName"]]


# The code.

CONDITION = "(eq|ne|hs|lo|mi|pl|vs|vc|hi|ls|ge|lt|gt|le)?"
JUMP = re.compile(rf"b{CONDITION}(?:\.w)?")
CALL = re.compile(rf"bl{CONDITION}")
JUMP_BY_TABLE = re.compile(r"tb([bh])")
LEAVE = re.compile(rf"bx{CONDITION} |(?:pop|ldm){CONDITION}(?:\.w)? .*pc}}"
                   rf"|ldr{CONDITION}(?:\.w)? pc,|udf ")
# Address, bytes, mnemonic, operands.
ROW = re.compile(r"\s*([0-9a-f]+):\s+((?:[0-9a-f]{2} )*[0-9a-f]{2})\s*\t(\S+)\s*([^@]*).*")
LABEL = re.compile(r"([0-9a-f]+) <(.*)>:")


@dataclass
class Instruction:
    """An instruction, and the literals between it and the next one."""
    address: int
    function: str
    entry: int
    code: bytes
    text: str
    literals: bytes = b""
    frames: list = field(default_factory=list)

    @property
    def mnemonic(self):
        return self.text.split()[0]

    @property
    def next(self):
        return self.address + len(self.code)

    def target(self):
        return int(re.search(r"0x([0-9a-f]+) <", self.text)[1], 16)

    def callee(self):
        """The function that it calls, whatever was before."""
        return self.target() if self.mnemonic == "bl" else None

    def leaves_for(self):
        """The function that it calls, or ends with a jump to."""
        leaves = CALL.fullmatch(self.mnemonic) or JUMP.fullmatch(self.mnemonic)
        return self.target() if leaves else None

    def successors(self):
        """Where it may be gone on; `None` where that is not known."""
        if way := JUMP.fullmatch(self.mnemonic) or CALL.fullmatch(self.mnemonic):
            if way[1]:
                return [self.target(), self.next]
            return [self.target()] if JUMP.fullmatch(self.mnemonic) else [self.next]
        if self.mnemonic in ("cbz", "cbnz"):
            return [self.target(), self.next]
        if table := JUMP_BY_TABLE.fullmatch(self.mnemonic):
            return self.table({"b": 1, "h": 2}[table[1]])
        if leaving := LEAVE.match(self.text):
            return [None, self.next] if leaving.lastindex else [None]
        return [self.next]

    def table(self, width):
        """Where a jump by a table leads to: twice each of its entries further."""
        entries = [self.literals[i:i + width] for i in range(0, len(self.literals), width)]
        return [self.next + 2 * int.from_bytes(entry, "little") for entry in entries]

    @property
    def is_shared(self):
        """Whether the compiler took it out of several functions, and says no more of it."""
        return self.function.startswith("OUTLINED_FUNCTION")

    def owner(self):
        """The innermost frame that is none of `core`, if there is one."""
        if self.is_shared:
            return None
        return next((frame for frame in self.frames if frame.part != CORE), None)

    def asked(self):
        """The function of `core` that the owner calls, if it was inlined."""
        at = self.frames.index(self.owner())
        return self.frames[at - 1].function if at > 0 else None

    def part(self):
        owner = self.owner()
        return owner.part if owner else SHARED if self.is_shared else CORE


def disassemble(elf):
    """All instructions, by address."""
    code, function, entry, last = {}, None, None, None
    for line in llvm("objdump", "-d", "-z", "-C", "--section=.text", elf).splitlines():
        if label := LABEL.fullmatch(line):
            if not label[2].startswith("$"):
                function, entry = plain(label[2]), int(label[1], 16)
        elif row := ROW.fullmatch(line):
            address, data = int(row[1], 16), bytes.fromhex(row[2])
            if row[3].startswith("."):
                last.literals += data
            else:
                last = Instruction(address, function, entry, data, f"{row[3]} {row[4]}".strip())
                code[address] = last
    place(code, frames_at(elf, code))
    return code


def place(code, all_frames):
    """Puts its frames to each instruction: those of the one before, if they are not known."""
    last = None
    for instruction, frames in zip(code.values(), all_frames, strict=True):
        if frames and frames[-1].function:
            instruction.frames = frames
        elif last and last.entry == instruction.entry:
            instruction.frames = last.frames
        else:
            instruction.frames = [Frame(instruction.function, "", 0)]
        last = instruction


# What takes how much.

def section_sizes(elf):
    rows = re.findall(r"^(\.\w+)\s+(\d+)\s+\d+$", llvm("size", "-A", elf), re.MULTILINE)
    return {name: int(size) for name, size in rows}


def flash_by_part(elf, code):
    sizes = Counter()
    for instruction in code.values():
        sizes[instruction.part()] += len(instruction.code) + len(instruction.literals)
    sections = section_sizes(elf)
    assert sum(sizes.values()) == sections[".text"]
    sizes[TABLES] = sum(sections[name] for name in TABLE_SECTIONS)
    # Type, offset, two addresses, size in the file.
    loaded = re.findall(r"^ +LOAD +\w+ \w+ \w+ (\w+)", llvm("readelf", "-l", elf), re.MULTILINE)
    sizes[GAPS] = sum(int(size, 16) for size in loaded) - sizes.total()
    return sizes


def ram_by_static(elf):
    sections = section_sizes(elf)
    sizes = Counter({"the stack": sections[".stack"]})
    for line in llvm("nm", "-S", "-C", elf).splitlines():
        if static := re.fullmatch(r"\w+ (\w+) [bBdD] (.+)", line):
            sizes[plain(static[2]).removeprefix(f"{elf.name}::")] += int(static[1], 16)
    sizes[GAPS] = sum(sections[name] for name in (".stack", ".data", ".bss")) - sizes.total()
    return +sizes


def figures(elf=ELF):
    """All of these, by name."""
    return {**flash_by_part(elf, disassemble(elf)), **ram_by_static(elf)}


# The ways to a panic.

@dataclass(frozen=True)
class Way:
    """One to a panic: from a line of a function to one that panics, of `core` if it can be."""
    part: str
    file: str
    line: int
    function: str
    panic: str

    @classmethod
    def between(cls, frame, panic):
        return cls(frame.part, frame.file, frame.line, last_name(frame.function), last_name(panic))

    @property
    def is_ours(self):
        return self.part in PARTS.values()

    def __str__(self):
        return f"{self.file}:{self.line}: {self.function} to {self.panic}"


def lost(code):
    """The addresses from which nothing but a panic can be reached."""
    before, callers = defaultdict(list), defaultdict(list)
    for instruction in code.values():
        for successor in instruction.successors():
            before[successor].append(instruction)
        callers[instruction.callee()].append(instruction)
    found = {at for at, instruction in code.items() if instruction.function in PANIC}
    assert found, "there is no panic"
    fresh = list(found)
    while fresh:
        address = fresh.pop()
        led_here = [instruction.address for instruction in before[address]
                    if found.issuperset(instruction.successors())]
        led_here += [instruction.address for instruction in callers[address]]
        fresh += set(led_here) - found
        found.update(led_here)
    return found


def ways_to_panic(code):
    """All of them, each once. What panics in a function of `core` is the affair of its callers."""
    lost_ones = lost(code)
    callers = defaultdict(list)
    for instruction in code.values():
        if instruction.address not in lost_ones and instruction.leaves_for() is not None:
            callers[instruction.leaves_for()].append(instruction)
    ways = set()
    for instruction in code.values():
        ends = lost_ones.intersection(instruction.successors())
        if ends and instruction.address not in lost_ones:
            steps = [instruction, *to_the_end(code, lost_ones, min(ends))]
            panic = steps.pop().function
            ways.update(ways_through(steps, panic, callers, set()))
    return ways


def to_the_end(code, lost_ones, address):
    """The instructions from a lost one to the function that panics: one of `core`, if it can be."""
    while True:
        instruction = code[address]
        yield instruction
        if instruction.function.startswith(("core::", *PANIC)):
            break
        callee = instruction.callee()
        address = callee if callee in lost_ones else instruction.successors()[0]


def ways_through(steps, panic, callers, seen):
    """The ways that begin with these steps: one, or as many as call the function of `core`."""
    # An error may come from a function that is inlined, and be unwrapped further out: who calls
    # `core` last is the one who panics. If nobody is known to, it is who has looked.
    owned = [step for step in steps if step.owner()]
    if owned:
        calls = (step for step in reversed(owned) if step.asked() and step.frames[0].line)
        step = next(calls, owned[0])
        yield Way.between(step.owner(), step.asked() or panic)
        return
    function, entry = steps[0].function, steps[0].entry
    if entry not in callers:
        yield Way.between(Frame(function, "", 0), panic)
    elif entry not in seen:
        seen.add(entry)
        panic = panic if steps[0].is_shared else function
        for caller in callers[entry]:
            yield from ways_through([caller], panic, callers, seen)


def in_order(ways):
    """Those in our source."""
    return sorted((way for way in ways if way.is_ours), key=lambda way: (way.file, way.line))


# What may be.

def allowed(path=ALLOWED):
    """The reason for each file and function."""
    rows = (line.partition(": ") for line in path.read_text().splitlines() if line[:1] != "#")
    return {tuple(place.split(" ", 1)): reason for place, _, reason in rows if place}


def complaints(ways, reasons):
    """What is not as the list has it."""
    found = set()
    for way in in_order(ways):
        rows = {("core", way.panic), (way.file, way.function)} & reasons.keys()
        found |= rows
        if not rows:
            yield f"{way} is not in {ALLOWED.name}"
    # What is left of a function of `core` is the compiler's choice.
    for row in sorted(row for row in reasons.keys() - found if row[0] != "core"):
        yield f"{' '.join(row)} is in {ALLOWED.name}, and does not panic"


def unexpected_panics(elf=ELF):
    """What the list has not, or has in vain."""
    return list(complaints(ways_to_panic(disassemble(elf)), allowed()))


# As text.

def table(head, sizes):
    yield f"| {head} | bytes |"
    yield "|---|---:|"
    for name, size in sizes.most_common():
        yield f"| {name} | {size:,} |"
    yield f"| in all | {sizes.total():,} |"
    yield ""


def ways_as_text(ways):
    yield "| ways to a panic | |"
    yield "|---|---:|"
    for part, count in Counter(way.part for way in ways).most_common():
        yield f"| {part} | {count} |"
    yield ""
    yield from map(str, in_order(ways))


def main():
    elf = Path(sys.argv[1]) if len(sys.argv) > 1 else ELF
    code = disassemble(elf)
    ways = ways_to_panic(code)
    print(*table("flash", flash_by_part(elf, code)), sep="\n")
    print(*table("RAM", ram_by_static(elf)), sep="\n")
    print(*ways_as_text(ways), sep="\n")
    wrong = list(complaints(ways, allowed()))
    print("", *wrong, f"{len(wrong)} lines of {ALLOWED.name} are wrong or missing", sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
