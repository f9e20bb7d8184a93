"""How the program starts, and how it says that it cannot."""

import contextlib
import ftplib
import io
import os
import signal
import subprocess
import time

from lab import PASSWORD, REPO, SERVER, USER, Failure, check, run

NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--inh-caps=-all"]


def refuses(code, *arguments, prefix=(), says=""):
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
        check("panicked" not in done.stderr and says in done.stderr, said)
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


@contextlib.contextmanager
def serving(lab, *command, **options):
    """A server of this case alone, half a second after its start."""
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=lab.log, stderr=lab.log,
                              cwd=lab.base, env=lab.environment(), **options)
    try:
        time.sleep(0.5)
        check(server.poll() is None, f"ended at once with status {server.returncode}")
        yield server
    finally:
        if server.poll() is None:
            server.kill()
            server.wait()


def serves_unprivileged(lab):
    with serving(lab, *NOBODY, lab.binary, *TAP1) as server:
        run("ping", "-c", "1", "-W", "2", "192.168.70.1")
        server.terminate()
        check(server.wait(5) == 0, f"ended with status {server.returncode}")


def respects_permissions(lab):
    """What the server's user may not write is not replaced; what it may not read is told."""
    file, locked = lab.root / "file", lab.root / "locked"
    locked.mkdir(0o700)
    file.write_bytes(b"old")
    for path, owner in [(lab.root, 65534), (file, 65534), (locked, 0)]:
        os.chown(path, owner, owner)
    arguments = ["--root", lab.root, "--anonymous", "rw", "--quota", "1M"]
    with serving(lab, *NOBODY, lab.binary, *TAP1, *arguments):
        with ftplib.FTP("192.168.70.1", timeout=20) as ftp:
            ftp.login()
            for command in ["STOR file", "APPE file"]:
                file.chmod(0o444)
                try:
                    check(False, ftp.storbinary(command, io.BytesIO(b"new")))
                except ftplib.error_perm as error:
                    check(str(error).startswith("550 "), str(error))
                check(file.read_bytes() == b"old", f"{command} replaced a file of mode 444")
            file.chmod(0o644)
            ftp.storbinary("STOR file", io.BytesIO(b"new"))
            check(file.read_bytes() == b"new", "a file of mode 644 was not replaced")
    os.chown(lab.root, 0, 0)
    check("/locked cannot be read" in lab.log_since_mark(), lab.log_since_mark())


def hangs_up(disposition, ends):
    """The terminal closes during an upload: twice, as the kernel and the shell both tell."""
    def play(lab):
        def dispose():
            signal.signal(signal.SIGHUP, disposition)
        with serving(lab, lab.binary, preexec_fn=dispose) as server:
            with ftplib.FTP(SERVER, timeout=20) as ftp:
                ftp.login()
                with ftp.transfercmd("STOR file") as data:
                    for _ in range(2):
                        server.send_signal(signal.SIGHUP)
                        time.sleep(0.1)
                    data.sendall(b"all of it")
                check(ftp.getline().startswith("226 "), "no 226")
                if not ends:
                    check(ftp.size("file") == 9, "it does not go on")
                    return
                check(ftp.getline().startswith("421 "), "no 421")
            check(server.wait(5) == 0, f"ended with status {server.returncode}")
    return play


def introduces(*arguments, says=(), omits=()):
    """What the program tells of itself at its start."""
    def play(lab):
        with serving(lab, lab.binary, *arguments):
            told = lab.log_since_mark()
        for line in says:
            check(f"  {line}\n" in told, f"'{line}' was expected:\n{told}")
        for word in omits:
            check(f"  {word} " not in told, f"'{word}' was not expected:\n{told}")
    return play


def logs_commands(lab):
    """Commands, and no password."""
    with serving(lab, lab.binary, "--user", f"{USER}:{PASSWORD}", "--log-level", "debug"):
        with ftplib.FTP(SERVER, timeout=20) as ftp:
            for line in [f"PAS {PASSWORD}", f"PASS\t{PASSWORD}", f"ACCT {PASSWORD}"]:
                try:
                    ftp.sendcmd(line)
                except ftplib.error_perm:
                    pass
            ftp.login(USER, PASSWORD)
            ftp.cwd("/")
    told = lab.log_since_mark()
    for line in [" > ***", " > ACCT ***", f" > USER {USER}", " > PASS ***", " > CWD /"]:
        check(line + "\n" in told, f"'{line}' was expected:\n{told}")
    check(PASSWORD not in told, f"a password was logged:\n{told}")


LIMITS = ["--max-per-address", "4", "--max-upload", "10M", "--quota", "1G", "--rate", "1M",
          "--total-rate", "1500"]
LIMITS_LINE = ("limits    sessions of an address 4, upload 10M, quota 1G, rate of a session 1M/s, "
               "rate of all 1500/s")

refused_unprivileged = refuses(1, *TAP1, prefix=NOBODY)

CASES = [
    ("none", "start", "device", "no such TAP", refuses(1, "--tap", "tap9")),
    ("none", "start", "device", "not a TAP", refuses(1, "--tap", "lo")),
    ("plain", "start", "device", "busy TAP", refuses(1)),
    ("none", "start", "device", "no permission on /dev/net/tun",
     on_tap_of("nobody", 0o600, refused_unprivileged)),
    ("none", "start", "device", "TAP of another user", on_tap_of("root", 0o666, refused_unprivileged)),
    ("none", "start", "device", "TAP of this user", on_tap_of("nobody", 0o666, serves_unprivileged)),
    ("none", "start", "device", "modes of files, unprivileged",
     on_tap_of("nobody", 0o666, respects_permissions)),
    ("none", "start", "device", "empty name", refuses(2, "--tap", "", says="such as tap0")),
    ("none", "start", "signals", "SIGHUP", hangs_up(signal.SIG_DFL, True)),
    ("none", "start", "signals", "SIGHUP under nohup", hangs_up(signal.SIG_IGN, False)),
    ("none", "start", "output", "no limits",
     introduces(says=["try       curl ftp://192.168.69.1/README.txt"], omits=["limits"])),
    ("none", "start", "output", "limits", introduces(*LIMITS, says=[LIMITS_LINE])),
    ("none", "start", "output", "only echo",
     introduces("--ftp-port", "0", says=["service   echo, port 7"], omits=["try", "root"])),
    ("none", "start", "output", "nobody may log in",
     introduces("--anonymous", "off", omits=["try"])),
    ("none", "start", "output", "commands and no passwords", logs_commands),
    ("none", "start", "options", "nothing to serve",
     refuses(1, "--ftp-port", "0", "--echo-port", "0", says="nothing to serve")),
    ("none", "start", "options", "bad log level",
     refuses(2, "--log-level", "loud", says="off, error, warn, info, debug")),
    ("none", "start", "options", "bad number",
     refuses(2, "--max-sessions", "10x", says="expected a number from 1 to 30000")),
    ("none", "start", "options", "bad name",
     refuses(2, "--user", "an\nna:secret", says="control character")),
    ("none", "start", "options", "no account in the file",
     refuses(2, "--accounts", "/dev/null", says="has no [[account]]")),
    ("none", "start", "options", "endless file of accounts",
     refuses(2, "--accounts", "/dev/zero", says="more than 1048576 bytes")),
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
