"""How the program starts, and how it says that it cannot."""

import contextlib
import ftplib
import io
import os
import re
import signal
import socket
import subprocess
import time

from lab import HOST, PASSWORD, REPO, SERVER, SERVER6, USER, Failure, check, run

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


OTHER_SERVER = "192.168.69.2"
LISTEN = ["--address", SERVER + "/24", "--address", OTHER_SERVER + "/24",
          "--address", SERVER6 + "/64", "--service", "ftp", "--service", "Echo:7007",
          "--service", "discard", "--listen", SERVER6, "--listen", OTHER_SERVER + ":7007",
          "--listen", SERVER + ":21"]


def is_open(address, port):
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except ConnectionRefusedError:
        return False


def echoes(address, port):
    """Whether a datagram comes back, and no ICMP says that the port is closed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(2)
        client.connect((address, port))
        client.send(b"hello")
        try:
            return client.recv(10) == b"hello"
        except ConnectionRefusedError:
            return False


def listens(lab):
    """Each service is where it may be had, and nowhere else."""
    with serving(lab, lab.binary, *LISTEN):
        for address, ports in [(SERVER, [21]), (OTHER_SERVER, [7007]), (SERVER6, [21, 7007, 9])]:
            for port in [7, 9, 13, 21, 7007]:
                expected = port in ports
                check(is_open(address, port) == expected, f"{address} port {port}: {not expected}")
            expected = 7007 in ports
            check(echoes(address, 7007) == expected, f"UDP at {address}: {not expected}")


def tells_the_time(lab):
    with serving(lab, lab.binary, "--service", "daytime:1313"):
        with socket.create_connection((SERVER, 1313), timeout=5) as stream:
            line = stream.makefile("rb").read()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(5)
            client.sendto(b"", (SERVER, 1313))
            for told in [line, client.recv(100)]:
                told = time.mktime(time.strptime(told.decode(), "%A, %B %d, %Y %H:%M:%S-UTC\r\n"))
                now = time.mktime(time.gmtime())
                check(abs(now - told) < 5, f"{now - told} s away")


def has_hardware(lab):
    """The neighbors see the address that was asked for."""
    with serving(lab, lab.binary, "--hardware", "02:11:22:33:44:55"):
        check(is_open(SERVER, 21), "no FTP")
        neighbors = run("ip", "neigh", "show", SERVER)
        check("02:11:22:33:44:55" in neighbors, neighbors)


def leaves_no_offload(lab):
    """Who opens the device next may not know of it, and would get frames that make no sense."""
    def offloads():
        return "tx-checksumming: on" in run("ethtool", "-k", "tap0")
    with serving(lab, lab.binary, "--offload", "on") as server:
        check(offloads(), "there is no offload")
        server.terminate()
        server.wait(10)
        check(not offloads(), "it is still there")


AS_ON_A_WIRE = ["--offload", "off"]


def read_capture(path):
    """The lines of tcpdump, which finds nothing wrong."""
    command = ["tcpdump", "-nttvvr", path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30,
                          env={"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
    said = done.stderr + done.stdout
    check(done.returncode == 0 and "(correct)" in said, said[-2000:])
    for wrong in ["bad cksum", "incorrect", "[|"]:
        check(wrong not in said, f"{wrong}: {said[-2000:]}")
    return done.stdout


def captures(lab):
    """Every frame is in the file at once, of this date, and for its owner only."""
    path = lab.base / "pcap"
    before = time.time()
    with serving(lab, lab.binary, "--pcap", path, *AS_ON_A_WIRE) as server:
        with ftplib.FTP(SERVER, timeout=20) as ftp:
            ftp.login()
            server.kill()  # what is in the file is there already
            ftp.close()
    told = read_capture(path)
    check("230 " in told and "USER anonymous" in told, told[-2000:])
    times = [float(line.split()[0]) for line in told.splitlines() if line[:1].isdigit()]
    check(times == sorted(times) and before - 1 < times[0] <= times[-1] < time.time() + 1,
          f"{before} to {time.time()}: {times}")
    mode = path.stat().st_mode & 0o777
    check(mode == 0o600, f"mode {mode:o}")


def captures_with_offload(lab):
    """Frames are longer than the MTU in both directions, and whole but for their checksums."""
    path = lab.base / "pcap"
    with serving(lab, lab.binary, "--pcap", path, "--offload", "on"):
        with ftplib.FTP(SERVER, timeout=20) as ftp:
            ftp.login()
            ftp.storbinary("STOR file", io.BytesIO(bytes(1 << 20)))
            ftp.retrbinary("RETR file", lambda _: None)
    told = run("tcpdump", "-nr", path, "tcp")
    check("USER anonymous" in told and "[|" not in told, told[-2000:])
    for way in (f"{SERVER}.", f"{HOST}."):
        lengths = re.findall(rf"IP {re.escape(way)}\d+ > .* length (\d+)", told)
        check(max(map(int, lengths)) > 10_000, f"from {way}: {told[-2000:]}")


def capture_ends(*options, directory="", says):
    """The file is whole, and the server goes on."""
    def play(lab):
        small = lab.base / "small"
        small.mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", small)
        try:
            path = lab.base / directory / "pcap"
            with serving(lab, lab.binary, "--pcap", path, *AS_ON_A_WIRE, *options):
                with ftplib.FTP(SERVER, timeout=20) as ftp:
                    ftp.login()
                    ftp.storbinary("STOR file", io.BytesIO(bytes(1 << 20)))
                    check(ftp.size("file") == 1 << 20, "it does not go on")
            check(f"the capture has ended: {says}" in lab.log_since_mark(), lab.log_since_mark())
            check(100_000 < path.stat().st_size <= 128 << 10, f"{path.stat().st_size} bytes")
            read_capture(path)
        finally:
            run("umount", "-l", small)
    return play


LIMITS = ["--max-per-address", "4", "--max-upload", "10M", "--quota", "1G", "--rate", "1M",
          "--total-rate", "1500"]
LIMITS_LINE = ("limits    sessions of an address 4, upload 10M, quota 1G, rate of a session 1M/s, "
               "rate of all 1500/s")

refused_unprivileged = refuses(1, *TAP1, prefix=NOBODY)

CASES = [
    ("none", "start", "device", "no such TAP", refuses(1, "--tap", "tap9")),
    ("none", "start", "device", "not a TAP", refuses(1, "--tap", "lo")),
    ("plain", "start", "device", "busy TAP", refuses(1)),
    ("none", "start", "device", "as it was before", leaves_no_offload),
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
     introduces("--service", "echo", says=["service   echo, TCP and UDP port 7"],
                omits=["try", "root"])),
    ("none", "start", "output", "nobody may log in",
     introduces("--anonymous", "off", omits=["try"])),
    ("none", "start", "output", "addresses of services",
     introduces(*LISTEN, says=[
         f"service   ftp, TCP port 21, at {SERVER6}, {SERVER}",
         f"service   echo, TCP and UDP port 7007, at {SERVER6}, {OTHER_SERVER}",
         f"service   discard, TCP and UDP port 9, at {SERVER6}",
         f"try       curl ftp://{SERVER}/README.txt"])),
    ("none", "start", "output", "name", introduces("--hostname", "box", says=["name      box.local"])),
    ("none", "start", "output", "no name", introduces("--no-mdns", omits=["name"])),
    ("none", "start", "output", "commands and no passwords", logs_commands),
    ("none", "start", "network", "services at some addresses", listens),
    ("none", "start", "network", "daytime", tells_the_time),
    ("none", "start", "network", "hardware address", has_hardware),
    ("none", "start", "capture", "every frame", captures),
    ("none", "start", "capture", "with offload", captures_with_offload),
    ("none", "start", "capture", "limit",
     capture_ends("--pcap-limit", "125K", says="--pcap-limit 125K is reached")),
    ("none", "start", "capture", "full disk",
     capture_ends(directory="small", says="No space left on device")),
    ("none", "start", "capture", "no file",
     refuses(1, "--pcap", "/dev/null", says="/dev/null is no regular file")),
    ("none", "start", "capture", "below the root",
     refuses(1, "--root", "/etc", "--pcap", "/etc/pcap", says="is below --root")),
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
    ("none", "start", "options", "address twice",
     refuses(2, "--address", "dhcp", "--address", "dhcp", says="--address: dhcp is given twice")),
    ("none", "start", "options", "bad gateway",
     refuses(2, "--gateway", "10.0.0.1", says=f"on none of our networks: {SERVER}/24")),
    ("none", "start", "options", "bad route",
     refuses(2, "--route", "10.1.0.0/8=192.168.69.100", says="10.0.0.0/8")),
    ("none", "start", "options", "bad hardware address",
     refuses(2, "--hardware", "01:00:5e:00:00:01", says="such as 02:00:c0:a8:45:01")),
    ("none", "start", "options", "bad name of a host",
     refuses(2, "--hostname", "tinyftp.local", says="letters, digits and inner hyphens")),
    ("none", "start", "options", "no such service",
     refuses(2, "--service", "telnet", says="telnet: ftp, echo, discard, daytime")),
    ("none", "start", "options", "services at one port",
     refuses(2, "--service", "ftp:7", "--service", "echo", says="ftp and echo are both at port 7")),
    ("none", "start", "options", "passive port of a service",
     refuses(2, "--service", "ftp:50000", says="--passive-ports 49152-65535")),
    ("none", "start", "options", "not our address",
     refuses(2, "--listen", "10.0.0.1", says=f"none of our addresses: {SERVER}/24")),
    ("none", "start", "options", "bad passive ports", refuses(2, "--passive-ports", "9-1")),
    ("none", "start", "options", "bad user", refuses(2, "--user", "nameless")),
    ("none", "start", "options", "no such file of accounts", refuses(2, "--accounts", "/nowhere")),
    ("none", "start", "options", "file without accounts", refuses(2, "--accounts", "/etc/hostname")),
    ("none", "start", "options", "account without its root",
     refuses(1, "--root", "/etc", "--accounts", REPO / "tests/clients/accounts.toml")),
    ("none", "start", "options", "bad switch",
     refuses(2, "--offload", "maybe", says="possible values: on, off")),
    ("none", "start", "options", "bad size", refuses(2, "--quota", "10X")),
    ("none", "start", "options", "unknown option", refuses(2, "--frobnicate")),
    ("none", "start", "options", "unknown argument", refuses(2, "extra")),
]
