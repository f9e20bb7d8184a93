"""The table of the clients: printed at the end of a run, and shown by the README."""

import re

from clients import CLIENTS, VERBS, version
from lab import REPO

# Cases of ours and no client's.
OURS = ("socket", "attack", "limits", "scale", "seeing", "start")

# What a client was asked to do, in words.
WORDS = {
    "list": "list", "nlist": "names", "mlsd": "MLSD", "facts": "MLST", "size": "size", "date": "date",
    "get": "get", "put": "put", "get_by": "--ftp-method", "put_deep": "--ftp-create-dirs",
    "reget": "resume get", "reput": "resume put", "append": "append", "pget": "get in 4 pieces",
    "mirror": "tree of 500 down", "mirror_up": "tree of 500 up", "sync": "sync up",
    "sync_down": "sync down", "check": "check", "get_many": "50 files at once down",
    "put_many": "50 files at once up", "rename": "rename", "delete": "delete",
    "mkdir": "directories", "cd": "cd",
}
BESIDE = {
    "nmap": "its FTP scripts but for ftp-brute, 1,000 ports",
    "ping": "IPv4, IPv6, small and large",
    "nc": "echo of 10 MiB",
}
HEAD = ["| client | version | data connections | tried | cases |", "|---|---|---|---|---|"]


def show(results):
    """The table of the results, which are pairs of a case and whether it passed."""
    names = sorted({case.who for case, _ in results} - set(OURS), key=str.lower)
    lines = list(HEAD) if names else []
    for name in names:
        passed = [ok for case, ok in results if case.who == name]
        lines.append(f"| `{name}` | {version(name)} | {connections(name)} | {tried(name)} | "
                     f"{passed.count(True)} of {len(passed)} |")
    return "\n".join(lines)


def connections(name):
    if name not in CLIENTS:
        return "–"
    client = CLIENTS[name]
    modes = " ".join(VERBS[mode] for mode in client.modes)
    modes6 = " ".join(VERBS[mode] for mode in client.modes6)
    return f"{modes}; IPv6: {modes6}" if modes6 else modes


def tried(name):
    if name not in CLIENTS:
        return BESIDE.get(name, "")
    return ", ".join(WORDS[verb] for verb in WORDS if verb in CLIENTS[name].can)


def compare_readme(names):
    """What is wrong with the README, which has a row for each client, and for nobody else."""
    readme = (REPO / "README.md").read_text()
    section = re.search(r"^## Clients\n(.*?)(?=^## |\Z)", readme, re.M | re.S)
    shown = set(re.findall(r"^\| `([^`]+)` \|", section[1] if section else "", re.M))
    lacks, has = sorted(names - set(OURS) - shown), sorted(shown - names)
    wrong = [f"its table lacks {', '.join(lacks)}: rows like those above"] if lacks else []
    wrong += [f"its table has {', '.join(has)}: no case plays that"] if has else []
    return "\n".join(wrong)
