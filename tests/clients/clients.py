"""The real clients: how each is started in each mode, and how it says each operation.

A client is a row of CLIENTS. `can` maps an operation to the client's words for it; an operation
that is not there is one that the client has not got, and its cases are left out."""

import ftplib
import functools
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Callable, NamedTuple
from urllib.parse import quote

from lab import PASSWORD, REPO, USER, Failure, Lab, check

HERE = Path(__file__).resolve().parent
# What scripts/test.sh fetches from PyPI and npm.
FETCHED = REPO / "target/clients"
AIOFTP = FETCHED / "venv/bin/python"
BASIC_FTP = FETCHED / "npm/node_modules/basic-ftp"
# Cargo builds it from the driver beside this file.
SUPPAFTP = REPO / "target/debug/examples/suppaftp_driver"


class Session(NamedTuple):
    """Where to, as whom, and by which way the data connections are made."""
    lab: Lab
    mode: str
    address: str
    user: str = USER
    password: str = PASSWORD

    @property
    def ipv6(self):
        return ":" in self.address

    @property
    def passive(self):
        return self.mode in ("pasv", "epsv")

    @property
    def flag(self):
        """How both BSD clients are told."""
        return "-p" if self.passive else "-A"

    @property
    def host(self):
        return f"[{self.address}]" if self.ipv6 else self.address

    def url(self, path=""):
        return f"ftp://{self.host}/{quote(path)}"


class Outcome(NamedTuple):
    status: int
    text: str


class Client(NamedTuple):
    run: Callable  # (client, session, operations) -> Outcome
    start: Callable  # session -> the command, or the lines that open the session
    can: dict
    modes: tuple
    modes6: tuple = ()
    program: tuple = ()
    quote: Callable = str
    shows_verbs: bool = True


VERBS = {"pasv": "PASV", "epsv": "EPSV", "port": "PORT", "eprt": "EPRT"}
# As the clients print what they send: "> PASV", "--> PASV", "---> PASV", "Cmd: PASV", "cmd PASV",
# 'FTP Tx: "PASV"', and aria2c on a line of its own.
SENT = re.compile(r'^(?:.*> |.*[Cc]md:? +|.*FTP Tx: "|)(PASV|EPSV|PORT|EPRT)\b', re.M)
TRANSFERS = {"list", "nlist", "mlsd", "get", "get_by", "put", "put_deep", "reget", "reput", "append",
             "pget", "mirror", "mirror_up", "sync", "sync_down", "get_many", "put_many"}


def perform(name, session, *operations, fails=False):
    """Has the client do the operations, and checks that the data connections were of the mode."""
    client = CLIENTS[name]
    outcome = client.run(client, session, operations)
    if not fails:
        check(outcome.status == 0, f"{name} ended with status {outcome.status}:\n{outcome.text}")
        if client.shows_verbs and TRANSFERS & {operation[0] for operation in operations}:
            sent = set(SENT.findall(outcome.text))
            check(sent == {VERBS[session.mode]},
                  f"{name} in mode {session.mode} sent {sorted(sent)}:\n{outcome.text}")
    return outcome


def call(session, command, script=""):
    try:
        done = subprocess.run(command, input=script.encode(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, cwd=session.lab.local,
                              timeout=session.lab.seconds_left(), env=session.lab.environment())
    except subprocess.TimeoutExpired as error:
        raise Failure(f"{command[0]} hangs:\n{text(error.stdout or b'')}") from None
    return Outcome(done.returncode, text(done.stdout))


def text(output):
    return output.decode(errors="backslashreplace")


def run_commands(client, session, operations):
    """A client that is started anew for each operation."""
    status, output = 0, ""
    for verb, *arguments in operations:
        command = [*client.start(session), *client.can[verb](session, *arguments)]
        outcome = call(session, command)
        output += f"$ {shlex.join(command)}\n{outcome.text}\n"
        status = status or outcome.status
    return Outcome(status, output)


def run_script(client, session, operations):
    """A client that reads its commands from its standard input."""
    lines = list(client.start(session))
    for verb, *arguments in operations:
        lines += client.can[verb].format(*map(client.quote, map(str, arguments))).split("\n")
    script = "\n".join([*lines, "quit", ""])
    outcome = call(session, [part.format(s=session) for part in client.program], script)
    return Outcome(outcome.status, f"{script}--\n{outcome.text}")


def run_python(client, session, operations):
    """ftplib, in this process; the log is of what it sent and got."""
    log = []
    try:
        with client.start(session, log) as ftp:
            for verb, *arguments in operations:
                log.append(str(client.can[verb](ftp, session, *arguments)))
    except ftplib.all_errors as error:
        return Outcome(1, "\n".join([*log, repr(error)]))
    return Outcome(0, "\n".join(log))


def double_quoted(name):
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


# curl

def curl(session):
    modes = {"pasv": ["--disable-epsv"], "epsv": [], "port": ["--ftp-port", "-", "--disable-eprt"],
             "eprt": ["--ftp-port", "-", "--eprt"]}
    return ["curl", "-sSv", "--max-time", "250", "--connect-timeout", "10",
            "--user", f"{session.user}:{session.password}", *modes[session.mode]]


def curl_says(*commands):
    """An operation without a data connection."""
    def words(session, *names):
        quoted = [part for c in commands for part in ("-Q", c.format(*names))]
        return [*quoted, "--head", session.url()]
    return words


CURL = {
    "list": lambda s, path: [s.url(path + "/")],
    "nlist": lambda s, path: ["--list-only", s.url(path + "/")],
    "get": lambda s, remote, local: ["-o", local, s.url(remote)],
    "put": lambda s, local, remote: ["-T", local, s.url(remote)],
    "reget": lambda s, remote, local: ["-C", "-", "-o", local, s.url(remote)],
    "reput": lambda s, local, remote, at: ["-C", "-", "-T", local, s.url(remote)],
    "append": lambda s, local, remote: ["-a", "-T", local, s.url(remote)],
    "get_by": lambda s, method, remote, local:
        ["--ftp-method", method, "-o", local, s.url(remote)],
    "put_deep": lambda s, local, remote: ["--ftp-create-dirs", "-T", local, s.url(remote)],
    "get_many": lambda s, *names:
        ["--parallel", "--parallel-max", "10", "--remote-name-all", *map(s.url, names)],
    "put_many": lambda s, *names:
        ["--parallel", "--parallel-max", "10", "-T", "{" + ",".join(names) + "}", s.url()],
    "size": lambda s, name: ["--head", s.url(name)],
    "date": lambda s, name: ["--head", s.url(name)],
    "rename": curl_says("RNFR {0}", "RNTO {1}"),
    "delete": curl_says("DELE {0}"),
    "mkdir": curl_says("MKD {0}"),
    "rmdir": curl_says("RMD {0}"),
}


# wget

def wget(session):
    return ["wget", "-d", "--tries=1", "--timeout=20", "--no-config", "--progress=dot:giga",
            f"--ftp-user={session.user}", f"--ftp-password={session.password}",
            *([] if session.passive else ["--no-passive-ftp"])]


WGET = {
    "list": lambda s, path: ["-O", "-", s.url(path + "/")],
    "get": lambda s, remote, local: ["-O", local, s.url(remote)],
    "reget": lambda s, remote, local: ["-c", "-O", local, s.url(remote)],
    "mirror": lambda s, remote, local: ["-r", "-nH", "-P", local, s.url(remote + "/")],
}


# aria2c, which gets a file over several connections, each with a part of it. It does not see a 226
# that comes in one piece with the 150 before it; with the server's waiting, no case takes long.

def aria2c(session):
    return ["aria2c", "--no-conf", "--console-log-level=info", "--summary-interval=0",
            "--max-tries=1", "--timeout=20", "--connect-timeout=10", "--file-allocation=none",
            "--split=4", "--max-connection-per-server=4", "--min-split-size=1M",
            "--remote-time", f"--ftp-user={session.user}", f"--ftp-passwd={session.password}",
            f"--ftp-pasv={'true' if session.passive else 'false'}"]


ARIA2C = {
    "get": lambda s, remote, local: ["--allow-overwrite", f"--out={local}", s.url(remote)],
    "reget": lambda s, remote, local: ["--continue", f"--out={local}", s.url(remote)],
    "get_many": lambda s, *names:
        ["--force-sequential", "--max-concurrent-downloads=8", *map(s.url, names)],
}


# rclone, without a configuration

@functools.cache
def obscured(password):
    """The password as rclone wants it: read by nobody by accident."""
    return subprocess.check_output(["rclone", "obscure", password], timeout=10, text=True).strip()


def rclone(session):
    return ["rclone", "--config", "", "-vv", "--dump", "bodies", "--retries", "1",
            "--low-level-retries", "1", "--contimeout", "10s", "--timeout", "20s",
            "--ftp-host", session.host, "--ftp-user", session.user,
            "--ftp-pass", obscured(session.password),
            *(["--ftp-disable-epsv"] if session.mode == "pasv" else [])]


RCLONE = {
    "list": lambda s, path: ["lsf", "--format", "pst", f":ftp:{path}"],
    "nlist": lambda s, path: ["lsf", f":ftp:{path}"],
    "get": lambda s, remote, local: ["copyto", f":ftp:{remote}", local],
    # it would leave a file alone that has the same size and second
    "put": lambda s, local, remote: ["copyto", "--ignore-times", local, f":ftp:{remote}"],
    "mirror": lambda s, remote, local:
        ["copy", "--create-empty-src-dirs", f":ftp:{remote}", local],
    "mirror_up": lambda s, local, remote:
        ["copy", "--create-empty-src-dirs", local, f":ftp:{remote}"],
    "sync": lambda s, local, remote: ["sync", local, f":ftp:{remote}"],
    "check": lambda s, local, remote: ["check", "--download", local, f":ftp:{remote}"],
    "sync_down": lambda s, remote, local: ["sync", f":ftp:{remote}", local],
    "check_down": lambda s, remote, local: ["check", "--download", f":ftp:{remote}", local],
    "rename": lambda s, old, new: ["moveto", f":ftp:{old}", f":ftp:{new}"],
    "delete": lambda s, name: ["deletefile", f":ftp:{name}"],
    "mkdir": lambda s, name: ["mkdir", f":ftp:{name}"],
    "rmdir": lambda s, name: ["rmdir", f":ftp:{name}"],
}


# busybox

def busybox(session):
    return ["busybox"]


def busybox_tool(program, *options):
    def words(session, *names):
        return [program, *options, "-v", "-u", session.user, "-p", session.password,
                session.address, *names]
    return words


BUSYBOX = {
    "get": lambda s, remote, local: busybox_tool("ftpget")(s, local, remote),
    "reget": lambda s, remote, local: busybox_tool("ftpget", "-c")(s, local, remote),
    "put": lambda s, local, remote: busybox_tool("ftpput")(s, remote, local),
}


# lftp

def lftp(session):
    on = {True: "yes", False: "no"}
    return ["debug 9",
            "set cmd:fail-exit yes",
            "set net:max-retries 1",
            "set net:timeout 20",
            "set ftp:ssl-allow no",
            f"set ftp:passive-mode {on[session.passive]}",
            f"set ftp:prefer-epsv {on[session.mode == 'epsv']}",
            "set mirror:parallel-transfer-count 4",
            f"open -u {session.user},{session.password} {session.url()}"]


LFTP = {
    "list": "ls {0}",
    "nlist": "nlist {0}",
    "get": "get {0} -o {1}",
    "put": "put {0} -o {1}",
    "reget": "get -c {0} -o {1}",
    "reput": "put -c {0} -o {1}",
    "pget": "pget -n 4 {0} -o {1}",
    "mirror": "mirror {0} {1}",
    "mirror_up": "mirror -R --parallel=4 {0} {1}",
    "rename": "mv {0} {1}",
    "delete": "rm {0}",
    "mkdir": "mkdir {0}",
    "rmdir": "rmdir {0}",
    "cd": "cd {0}",
}


# tnftp and inetutils-ftp, which share an ancestor

def tnftp(session):
    return [f"epsv4 {'on' if session.mode in ('epsv', 'eprt') else 'off'}",
            f"passive {'on' if session.passive else 'off'}",
            *bsd(session)]


def inetutils(session):
    return [*(["epsv4"] if session.mode in ("epsv", "eprt") else []), *bsd(session)]


def bsd(session):
    return [f"open {session.address}", f"user {session.user} {session.password}", "binary"]


BSD = {
    "list": "ls {0}",
    "nlist": "nlist {0}",
    "get": "get {0} {1}",
    "put": "put {0} {1}",
    "reget": "reget {0} {1}",
    "reput": "restart {2}\nput {0} {1}",
    "append": "append {0} {1}",
    "size": "size {0}",
    "date": "modtime {0}",
    "rename": "rename {0} {1}",
    "delete": "delete {0}",
    "mkdir": "mkdir {0}",
    "rmdir": "rmdir {0}",
    "cd": "cd {0}",
}


# ncftp: the programs for one transfer each, and the interactive one

def ncftp_tool(program, *options):
    def words(session, *names):
        return [program, *options, "-V", "-d", "stdout", "-t", "20", "-r", "1",
                "-u", session.user, "-p", session.password,
                "-F" if session.passive else "-E", *names]
    return words


def ncftp_list(*options):
    words = ncftp_tool("ncftpls", *options)
    return lambda s, path: [w for w in words(s, s.url(path + "/")) if w != "-V"]


NCFTP_TOOLS = {
    "list": ncftp_list("-l"),
    "nlist": ncftp_list("-1"),
    "get": lambda s, remote, local:
        ncftp_tool("ncftpget", "-C", "-Z")(s, s.address, remote, local),
    "put": lambda s, local, remote:
        ncftp_tool("ncftpput", "-C", "-Z")(s, s.address, local, remote),
    "reget": lambda s, remote, local:
        ncftp_tool("ncftpget", "-C", "-z")(s, s.address, remote, local),
    "reput": lambda s, local, remote, at:
        # with sendfile it would send the whole file after REST
        ncftp_tool("ncftpput", "-z", "-s")(s, s.address, ".", local),
    "append": lambda s, local, remote:
        ncftp_tool("ncftpput", "-C", "-A")(s, s.address, local, remote),
    "mirror": lambda s, remote, local:
        ncftp_tool("ncftpget", "-R", "-T")(s, s.address, ".", remote),
    "mirror_up": lambda s, local, remote:
        ncftp_tool("ncftpput", "-R", "-m")(s, s.address, remote, local),
}


def ncftp(session):
    return ["set yes-i-know-about-NcFTPd yes",
            "debug 1",
            f"set passive {'on' if session.passive else 'off'}",
            f"open -u {session.user} -p {session.password} {session.address}"]


NCFTP = {
    "list": "ls -l {0}",
    "nlist": "ls -1 {0}",
    "get": "get -f -z {0} {1}",
    "put": "put -f -z {0} {1}",
    "rename": "rename {0} {1}",
    "delete": "rm {0}",
    "mkdir": "mkdir {0}",
    "rmdir": "rmdir {0}",
    "cd": "cd {0}",
}


# Python's ftplib

class Logged(ftplib.FTP):
    """Does in a mode what is asked of it, whichever the family, and keeps the dialogue."""

    def __init__(self, session, log):
        self.log, self.mode, self.asked = log, session.mode, False
        super().__init__(session.address, session.user, session.password, timeout=20)
        self.set_pasv(session.passive)

    def putline(self, line):
        self.log.append("> " + line)
        super().putline(line)

    def getline(self):
        line = super().getline()
        self.log.append("< " + line)
        return line

    def makepasv(self):
        if self.mode == "pasv":
            return super().makepasv()
        # To the host as it was given: a link-local address is nothing without its scope.
        return self.host, ftplib.parse229(self.sendcmd("EPSV"), self.sock.getpeername())[1]

    def makeport(self):
        host, _, *scope = self.sock.getsockname()
        listener = socket.create_server((host, 0, *scope), family=self.af, backlog=1)
        listener.settimeout(self.timeout)
        send = self.sendport if self.mode == "port" else self.sendeprt
        send(*listener.getsockname()[:2])
        return listener


def fetch(ftp, session, remote, local, rest=None):
    with open(session.lab.local / local, "ab" if rest else "wb") as file:
        return ftp.retrbinary("RETR " + remote, file.write, rest=rest)


def store(ftp, session, local, remote, verb="STOR", rest=None):
    with open(session.lab.local / local, "rb") as file:
        file.seek(rest or 0)
        return ftp.storbinary(f"{verb} {remote}", file, rest=rest)


def lines(command):
    def listing(ftp, session, path):
        found = []
        ftp.retrlines(f"{command} {path}", found.append)
        return "\n".join(found)
    return listing


FTPLIB = {
    "list": lines("LIST"),
    "nlist": lines("NLST"),
    "mlsd": lines("MLSD"),
    "get": fetch,
    "put": store,
    "reget": lambda f, s, remote, local:
        fetch(f, s, remote, local, (s.lab.local / local).stat().st_size),
    "reput": lambda f, s, local, remote, at: store(f, s, local, remote, "STOR", at),
    "append": lambda f, s, local, remote: store(f, s, local, remote, "APPE"),
    "size": lambda f, s, name: f.size(name),
    "date": lambda f, s, name: f.sendcmd("MDTM " + name),
    "facts": lambda f, s, name: f.sendcmd("MLST " + name),
    "rename": lambda f, s, old, new: f.rename(old, new),
    "delete": lambda f, s, name: f.delete(name),
    "mkdir": lambda f, s, name: f.mkd(name),
    "rmdir": lambda f, s, name: f.rmd(name),
    "cd": lambda f, s, name: f.cwd(name),
}

# Libraries, each with a small program of ours in its own language

def run_driver(client, session, operations):
    """A program that does the operations that it reads, and logs the dialogue."""
    command = [str(part) for part in client.start(session)]
    script = "".join("\t".join(map(str, operation)) + "\n" for operation in operations)
    outcome = call(session, [*command, session.address, session.user, session.password,
                             session.mode], script)
    return Outcome(outcome.status, f"{script}\n{outcome.text}")


def aioftp(session):
    return [AIOFTP, "-B", HERE / "aioftp_driver.py"]


def basic_ftp(session):
    return ["node", HERE / "basic_ftp_driver.js", BASIC_FTP]


def suppaftp(session):
    return [SUPPAFTP]


AIOFTP_CAN = ("list", "mlsd", "facts", "get", "put", "reget", "reput", "append", "mirror",
              "mirror_up", "rename", "delete", "mkdir", "rmdir", "cd")
BASIC_FTP_CAN = ("list", "size", "date", "get", "put", "reget", "reput", "append", "mirror",
                 "mirror_up", "rename", "delete", "mkdir", "rmdir", "cd")
SUPPAFTP_CAN = ("list", "nlist", "mlsd", "facts", "size", "date", "get", "put", "reget", "reput",
                "append", "rename", "delete", "mkdir", "rmdir", "cd")

ALL = ("pasv", "epsv", "port", "eprt")
EXTENDED = ("epsv", "eprt")
PASSIVE = ("pasv", "epsv")

CLIENTS = {
    "curl": Client(run_commands, curl, CURL, ALL, EXTENDED),
    "wget": Client(run_commands, wget, WGET, ("pasv", "port"), EXTENDED),
    "aria2c": Client(run_commands, aria2c, ARIA2C, ("pasv", "port"), EXTENDED),
    "rclone": Client(run_commands, rclone, RCLONE, PASSIVE, ("epsv",)),
    "busybox": Client(run_commands, busybox, BUSYBOX, ("epsv",), ("epsv",)),
    "lftp": Client(run_script, lftp, LFTP, ("pasv", "epsv", "port"), EXTENDED,
                   program=("lftp", "--norc"), quote=double_quoted),
    "tnftp": Client(run_script, tnftp, BSD, ALL, EXTENDED,
                    program=("tnftp", "-nidvV"), quote=double_quoted),
    "inetutils-ftp": Client(run_script, inetutils, BSD, ALL, EXTENDED,
                            program=("inetutils-ftp", "-nidv", "{s.flag}"), quote=double_quoted),
    "ncftpget": Client(run_commands, lambda s: [], NCFTP_TOOLS, ("pasv", "port")),
    "ncftp": Client(run_script, ncftp, NCFTP, ("pasv", "port"),
                    program=("ncftp",), quote=double_quoted, shows_verbs=False),
    "ftplib": Client(run_python, Logged, FTPLIB, ALL, EXTENDED),
    "aioftp": Client(run_driver, aioftp, dict.fromkeys(AIOFTP_CAN), PASSIVE, ("epsv",)),
    "basic-ftp": Client(run_driver, basic_ftp, dict.fromkeys(BASIC_FTP_CAN), PASSIVE, ("epsv",)),
    "suppaftp": Client(run_driver, suppaftp, dict.fromkeys(SUPPAFTP_CAN),
                       ("pasv", "epsv", "port"), EXTENDED),
}

# What each is run with, and so has to be installed.
PROGRAMS = {
    "curl": ("curl",), "wget": ("wget",), "aria2c": ("aria2c",), "rclone": ("rclone",),
    "busybox": ("busybox",), "lftp": ("lftp",), "tnftp": ("tnftp",),
    "inetutils-ftp": ("inetutils-ftp",), "ncftp": ("ncftp",),
    "ncftpget": ("ncftpls", "ncftpget", "ncftpput"), "aioftp": (AIOFTP,),
    "basic-ftp": ("node", BASIC_FTP), "suppaftp": (SUPPAFTP,), "nmap": ("nmap",),
    "ping": ("ping",), "nc": ("nc",), "attack": ("tcpdump", "ethtool"), "seeing": ("ss",),
    "start": ("setpriv", "ethtool"),
}

# How each tells its version: the first thing in its answer that looks like one.
VERSIONS = {
    "curl": ("curl", "--version"), "wget": ("wget", "--version"),
    "aria2c": ("aria2c", "--version"), "rclone": ("rclone", "version"), "busybox": ("busybox",),
    "lftp": ("lftp", "--version"), "tnftp": ("dpkg-query", "-Wf", "${Version}", "tnftp"),
    "inetutils-ftp": ("inetutils-ftp", "--version"), "ncftp": ("ncftp", "-v"),
    "ncftpget": ("ncftpget", "-v"), "ftplib": (sys.executable, "--version"),
    "aioftp": (AIOFTP, "-c", "from importlib.metadata import version; print(version('aioftp'))"),
    "basic-ftp": ("node", "-p", f"require('{BASIC_FTP}/package.json').version"),
    "suppaftp": ("grep", "-A1", 'name = "suppaftp"', REPO / "Cargo.lock"),
    "nmap": ("nmap", "--version"), "ping": ("ping", "-V"), "nc": ("nc", "-h"),
}


def version(name):
    try:
        done = subprocess.run(VERSIONS[name], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=20)
    except OSError:
        return "?"
    found = re.search(r"(?<![\d.])\d+(\.\d+)+|\b\d{8}\b", text(done.stdout))
    return found[0] if found else "?"
