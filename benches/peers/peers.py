"""The servers that a user would pick instead, with their own ways of saying the same.

Debian's packages are unpacked by scripts/bench.sh and not installed: they exclude each other, and
would start daemons on this machine."""

import os

from lab import REPO, Failure
from servers import DAY, HERE, MANY, Server, told_version

FETCHED = REPO / "target/peers"
PYTHON = FETCHED / "venv/bin/python"
NOBODY = 65534


class Debian(Server):
    """From a package of Debian's, which is unpacked with the libraries that it needs."""

    @classmethod
    def unpacked(cls):
        return FETCHED / cls.key

    @classmethod
    def program(cls, name):
        found = [*cls.unpacked().glob(f"usr/*bin/{name}")]
        if not found:
            raise Failure(f"there is no {name}; scripts/bench.sh fetches it")
        return found[0]

    @classmethod
    def environment(cls):
        places = [*cls.unpacked().glob("lib/*-linux-*"), *cls.unpacked().glob("usr/lib/*-linux-*")]
        return {**os.environ, "LD_LIBRARY_PATH": ":".join(map(str, places))}


class Vsftpd(Debian):
    key = title = "vsftpd"

    def command(self):
        empty = self.files / "empty"
        empty.mkdir()
        conf = self.file("conf", f"""\
listen=YES
background=NO
ftp_username=nobody
secure_chroot_dir={empty}
anon_root={self.root}
allow_writeable_chroot=YES
anonymous_enable=YES
local_enable=NO
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
anon_umask=022
max_clients=0
max_per_ip=0
idle_session_timeout={DAY}
data_connection_timeout={DAY}
xferlog_enable=NO
""")
        return self.program("vsftpd"), conf

    @classmethod
    def version(cls):
        # It says so on standard input.
        return told_version("sh", "-c", f"'{cls.program('vsftpd')}' -v 0>&1",
                            env=cls.environment())


class ProFtpd(Debian):
    key, title = "proftpd", "ProFTPD"

    def command(self):
        conf = self.file("conf", f"""\
ServerType standalone
DefaultServer on
DefaultAddress {self.address}
UseIPv6 off
Port 21
User nobody
Group nogroup
Umask 022
MaxInstances none
TimeoutIdle 0
TimeoutLogin 0
TimeoutNoTransfer 0
TimeoutStalled 0
UseReverseDNS off
AuthOrder mod_auth_unix.c
RequireValidShell off
UseFtpUsers off
WtmpLog off
TransferLog none
SystemLog none
PidFile {self.files}/pid
ScoreboardFile {self.files}/scoreboard
<IfModule mod_ctrls.c>
  ControlsEngine off
</IfModule>
# It makes logins slower on purpose.
<IfModule mod_delay.c>
  DelayEngine off
</IfModule>
<Anonymous {self.root}>
  User nobody
  Group nogroup
  UserAlias anonymous nobody
  AllowOverwrite on
  <Limit ALL>
    AllowAll
  </Limit>
</Anonymous>
""")
        return self.program("proftpd"), "--nodaemon", "--quiet", "--config", conf

    @classmethod
    def version(cls):
        return told_version(cls.program("proftpd"), "--version", env=cls.environment())


class PureFtpd(Debian):
    """Whoever is anonymous may not replace files, so it has an account for those who store."""

    key, title = "pure-ftpd", "Pure-FTPd"
    writer = ("bench", "bench")
    # That password by MD5, of `openssl passwd -1`: what is usual today takes its time on purpose,
    # and would be measured with each upload.
    HASH = "$1$bench$IDaFocGqo.f39hZ5dc3P7."

    def command(self):
        accounts = self.file(
            "accounts", f"bench:{self.HASH}:{NOBODY}:{NOBODY}::{self.root}/./::::::::::::\n")
        database = self.files / "accounts.pdb"
        # The directory for anonymous sessions is the home of the user `ftp`, of whom nobody but
        # this server is to know.
        users = self.file("passwd", f"root:x:0:0::/root:/bin/sh\n"
                                    f"ftp:x:{NOBODY}:{NOBODY}::{self.root}:/bin/false\n")
        script = (f"mount --bind {users} /etc/passwd && "
                  f"'{self.program('pure-pw')}' mkdb {database} -f {accounts} && exec \"$@\"")
        return ("unshare", "--mount", "sh", "-c", script, "sh", self.program("pure-ftpd"),
                "-S", f"{self.address},21", "-l", f"puredb:{database}", "-H", "-U", "022:022",
                "-c", MANY, "-C", MANY, "-I", DAY // 60, "-g", self.files / "pid")

    @classmethod
    def version(cls):
        return told_version(cls.program("pure-ftpd"), "--help", env=cls.environment())


class Pyftpdlib(Server):
    key = title = "pyftpdlib"

    def command(self):
        return PYTHON, HERE / "pyftpdlib_server.py", self.address, self.root

    @classmethod
    def version(cls):
        return told_version(PYTHON, "-c", "import pyftpdlib; print(pyftpdlib.__ver__)")


class Unftp(Server):
    key, title = "unftp", "unFTP"
    binary = FETCHED / "unftp/bin/unftp"

    def command(self):
        return (self.binary, "--bind-address", f"{self.address}:21", "--root-dir", self.root,
                "--auth-type", "anonymous", "--idle-session-timeout", DAY,
                "--log-level", "error")

    @classmethod
    def version(cls):
        return told_version(cls.binary, "--version")


PEERS = (Vsftpd, ProFtpd, PureFtpd, Pyftpdlib, Unftp)
