"""How the program starts, and how it says that it cannot."""

import subprocess
import time

from lab import REPO, SERVER, Failure, check, run

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"]


def refuses(code, *arguments, prefix=()):
    """The program ends with this exit code and one line that says why."""
    def play(lab):
        command = [*prefix, lab.binary, *arguments]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=5, cwd=lab.base, env=lab.environment())
        except subprocess.TimeoutExpired:
            raise Failure("it runs, and should not have started") from None
        said = f"status {done.returncode}, and on stderr:\n{done.stderr}"
        check(done.returncode == code, f"status {code} was expected: {said}")
        check(len(done.stderr.splitlines()) == 1, f"one line was expected: {said}")
        check("panicked" not in done.stderr, said)
    return play


def on_tap_of(user, mode, play):
    """As `play`, with a TAP device of the user's, and /dev/net/tun with these permissions."""
    def with_tap(lab):
        lab.own_tun(mode)
        setup = REPO / "scripts/setup-tap.sh"
        tap = ["--tap", "tap1", "--address", "192.168.70.100/24"]
        run(setup, *tap, *(["--user", user] if user else []))
        try:
            play(lab)
        finally:
            run(setup, "--tap", "tap1", "--delete")
            lab.own_tun(0o600)
    return with_tap


TAP1 = ["--tap", "tap1", "--address", "192.168.70.1/24"]


def serves_unprivileged(lab):
    command = [*NOBODY, lab.binary, *TAP1]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=lab.log, stderr=lab.log,
                              cwd=lab.base, env=lab.environment())
    try:
        time.sleep(0.5)
        check(server.poll() is None, f"ended at once with status {server.returncode}")
        run("ping", "-c", "1", "-W", "2", "192.168.70.1")
        server.terminate()
        check(server.wait(5) == 0, f"ended with status {server.returncode}")
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


refused_unprivileged = refuses(1, *TAP1, prefix=NOBODY)

CASES = [
    ("none", "start", "device", "no such TAP", refuses(1, "--tap", "tap9")),
    ("none", "start", "device", "not a TAP", refuses(1, "--tap", "lo")),
    ("plain", "start", "device", "busy TAP", refuses(1)),
    ("none", "start", "device", "no permission on /dev/net/tun",
     on_tap_of("nobody", 0o600, refused_unprivileged)),
    ("none", "start", "device", "TAP of another user", on_tap_of("root", 0o666, refused_unprivileged)),
    ("none", "start", "device", "TAP of this user", on_tap_of("nobody", 0o666, serves_unprivileged)),
    ("none", "start", "options", "no such root", refuses(1, "--root", "/nowhere/at/all")),
    ("none", "start", "options", "root is a file", refuses(1, "--root", "/etc/hostname")),
    ("none", "start", "options", "bad address", refuses(2, "--address", "192.168.69.300/24")),
    ("none", "start", "options", "bad prefix", refuses(2, "--address", SERVER + "/33")),
    ("none", "start", "options", "bad passive ports", refuses(2, "--passive-ports", "9-1")),
    ("none", "start", "options", "bad user", refuses(2, "--user", "nameless")),
    ("none", "start", "options", "no such file of accounts", refuses(2, "--accounts", "/nowhere")),
    ("none", "start", "options", "file without accounts", refuses(2, "--accounts", "/etc/hostname")),
    ("none", "start", "options", "account without its root",
     refuses(1, "--root", "/etc", "--accounts", REPO / "tests/clients/accounts.toml")),
    ("none", "start", "options", "bad size", refuses(2, "--quota", "10X")),
    ("none", "start", "options", "unknown option", refuses(2, "--frobnicate")),
    ("none", "start", "options", "unknown argument", refuses(2, "extra")),
]
