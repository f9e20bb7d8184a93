"""What accounts may do, and how much of it; and what few clients use."""

import ftplib
import hashlib
import io
import os
import stat
import subprocess
import sys
import time
import zlib

from lab import MIB, PASSWORD, SERVER, USER, check, run


def log_in(user="anna", password="secret"):
    ftp = ftplib.FTP(SERVER, timeout=20)
    ftp.welcome = ftp.login(user, password)
    return ftp


def refused(code, call, *arguments):
    """The reply that the call is refused with."""
    try:
        reply = call(*arguments)
    except (ftplib.error_perm, ftplib.error_temp) as error:
        check(str(error).startswith(str(code)), f"{code} was expected: {error}")
        return str(error)
    check(False, f"{code} was expected: {reply}")


def store(ftp, name, content):
    return ftp.storbinary(f"STOR {name}", io.BytesIO(content))


def fetch(ftp, name):
    content = io.BytesIO()
    ftp.retrbinary(f"RETR {name}", content.write)
    return content.getvalue()


def root(_):
    with log_in() as anna, log_in("reader") as reader:
        check("Hello Anna\n230-230 is no end\n230 " in anna.welcome, anna.welcome)
        store(anna, "/mine", b"hers")
        check(anna.nlst("/../..") == ["mine"] and anna.pwd() == "/", "that is not her root")
        refused(550, anna.size, "/home/anna/mine")
        check(fetch(reader, "anna/mine") == b"hers", "the reader sees another file")
        refused(550, store, reader, "anna/theirs", b"")
        refused(550, reader.delete, "anna/mine")
        refused(550, reader.sendcmd, "SITE WHO")
        check(anna.delete("mine").startswith("250 "), "her file stays")
    run("curl", "-sS", "--max-time", "20", f"ftp://anna:secret@{SERVER}/")


def upload_and_quota(_):
    with log_in() as anna:
        refused(552, store, anna, "a", bytes(2 * MIB + 1))
        store(anna, "a", bytes(2 * MIB))
        reply = refused(552, store, anna, "b", bytes(MIB + 1))
        check("Quota" in reply, reply)
        store(anna, "b", bytes(MIB))
        check(anna.sendcmd("AVBL") == "213 0", "there is something left")
        refused(552, anna.storbinary, "APPE b", io.BytesIO(b"x"))
        check(sorted(anna.nlst()) == ["a", "b"], "what was refused left something")
        anna.delete("a")
        check(anna.sendcmd("AVBL") == f"213 {2 * MIB}", "nothing came back")
        anna.delete("b")


def sessions(_):
    with log_in() as first, log_in():
        refused(530, log_in)
        with log_in("reader"), log_in("admin") as admin:
            told = admin.sendcmd("SITE WHO").splitlines()
            check(sum(" anna idle " in line for line in told) == 2, "\n".join(told))
            # Six of an address, whoever they are; that of the refused one is closed.
            with ftplib.FTP(SERVER, timeout=20), ftplib.FTP(SERVER, timeout=20):
                refused(421, ftplib.FTP, SERVER)
        first.quit()
        with log_in():
            pass


def rate(_):
    # That it is not slower either is seen by those who wait for it.
    with log_in("admin") as admin, ftplib.FTP(SERVER, timeout=20) as slow:
        slow.login("slow", "secret")
        begin = time.monotonic()
        store(slow, "file", bytes(MIB))
        check(fetch(slow, "file") == bytes(MIB), "another file came back")
        seconds = time.monotonic() - begin
        check(seconds > 1.5, f"2 MiB went by in {seconds:.1f} s, at 1 MiB a second")
        admin.delete("file")


class Numbered:
    """A file of GiB whose every MiB is another, and its sum."""

    def __init__(self, size):
        self.left, self.number, self.total = size // MIB, 0, hashlib.sha256()

    def read(self, _):
        if self.left == 0:
            return b""
        self.left, self.number = self.left - 1, self.number + 1
        block = self.number.to_bytes(8, "big") * (MIB // 8)
        self.total.update(block)
        return block


def more_than_32_bits(lab):
    """5 GiB: sequence numbers go round once, and sizes do not fit into 32 bits."""
    large = lab.root / "large"
    large.mkdir()
    run("mount", "-t", "tmpfs", "-o", "mode=777,size=5200m", "tmpfs", large)
    try:
        with ftplib.FTP(SERVER, timeout=20) as ftp:
            ftp.login(USER, PASSWORD)
            sent, back = Numbered(5 * 1024 * MIB), hashlib.sha256()
            ftp.storbinary("STOR large/file", sent, blocksize=MIB)
            check(ftp.size("large/file") == 5 * 1024 * MIB, "SIZE tells something else")
            ftp.retrbinary("RETR large/file", back.update, blocksize=MIB)
            check(back.digest() == sent.total.digest(), "something else came back")
    finally:
        run("umount", "-l", large)


def told_why(lab):
    """Clients that read the reply only when they have sent everything: 100 MiB of 2 MiB."""
    ftp = f"ftp://anna:secret@{SERVER}/"
    script = f"set net:max-retries 1; set net:timeout 10; open {ftp}; put {lab.large}"
    for command in [["curl", "-sSv", "-T", lab.large, ftp], ["lftp", "-c", script]]:
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=lab.seconds_left())
        said = done.stdout + done.stderr
        check(done.returncode != 0 and "552 An upload has at most" in said, said)
        check("reset by peer" not in said, said)


def killed(lab):
    """What a client has sent that is gone is not the file, and the old one stays."""
    (lab.root / "inc").mkdir()
    (lab.root / "inc").chmod(0o777)
    (lab.root / "inc/file").write_bytes(b"old")
    client = f"""
import ftplib, time
ftp = ftplib.FTP('{SERVER}')
ftp.login('{USER}', '{PASSWORD}')
data = ftp.transfercmd('STOR inc/file')
data.sendall(b'half')
print('sent', flush=True)
time.sleep(30)"""
    with subprocess.Popen([sys.executable, "-c", client], stdout=subprocess.PIPE) as client:
        client.stdout.readline()
        client.kill()
    until(lambda: "upload aborted" in lab.log_since_mark(), "no upload was aborted")
    check((lab.root / "inc/file").read_bytes() == b"old", "half a file took its place")
    check(len(list((lab.root / "inc").iterdir())) == 1, "something is left of it")


def until(happens, message, seconds=5, pause=0.05):
    deadline = time.monotonic() + seconds
    while not happens():
        check(time.monotonic() < deadline, message)
        time.sleep(pause)


def umask(lab):
    # At first it is that of the server's process, which is ours.
    mask = os.umask(0)
    os.umask(mask)
    with log_in(USER, PASSWORD) as ftp:
        reply = ftp.sendcmd("SITE UMASK")
        check(reply == f"200 Umask is {mask:03o}", reply)
        store(ftp, "first", b"open")
        ftp.mkd("place")
        ftp.sendcmd("SITE UMASK 000")
        store(ftp, "wide", b"open to all")
        ftp.sendcmd("SITE UMASK 077")
        store(ftp, "file", b"secret")
        ftp.mkd("directory")
        ftp.sendcmd("SITE CHMOD 640 file")
        for name, mode in [("first", 0o666 & ~mask), ("place", 0o777 & ~mask), ("wide", 0o666),
                           ("file", 0o640), ("directory", 0o700)]:
            has = stat.S_IMODE((lab.root / name).stat().st_mode)
            check(has == mode, f"{name} has {has:o}")


def checksums(lab):
    content = (lab.large.read_bytes())[:5 * MIB + 1]
    (lab.root / "file").write_bytes(content)
    with log_in(USER, PASSWORD) as ftp:
        sums = {"SHA-256": hashlib.sha256, "SHA-1": hashlib.sha1, "MD5": hashlib.md5}
        for name, algorithm in sums.items():
            ftp.sendcmd(f"OPTS HASH {name}")
            reply = ftp.sendcmd("HASH file")
            wanted = f"213 {name} 0-{len(content) - 1} {algorithm(content).hexdigest()} /file"
            check(reply == wanted, f"{reply}\nwas expected to be\n{wanted}")
            verb = {"SHA-256": "XSHA256", "SHA-1": "XSHA1", "MD5": "XMD5"}[name]
            reply = ftp.sendcmd(f'{verb} "file" 1 100')
            check(reply == f"250 {algorithm(content[1:100]).hexdigest().upper()}", reply)
        check(ftp.sendcmd("XCRC file") == f"250 {zlib.crc32(content):08X}", "another CRC")
        ftp.voidcmd("TYPE I")
        check(ftp.sendcmd("RANG 10 19").startswith("350 "), "no range")
        with ftp.transfercmd("RETR file") as data:
            check(data.makefile("rb").read() == content[10:20], "another range came")
        ftp.voidresp()
    words = ["-sSv", "--max-time", "20", "--user", f"{USER}:{PASSWORD}", "--head"]
    run("curl", *words, "-Q", "HASH /file", f"ftp://{SERVER}/")


def deflate(lab):
    """lftp compresses, both ways."""
    content = b"".join(b"line %d of a file\n" % line for line in range(200_000))
    lab.write("up", content)
    commands = ["set ftp:use-mode-z yes", "set cmd:fail-exit yes", "set net:timeout 20", "debug 5",
                f"open -u {USER},{PASSWORD} {SERVER}", "put up", "get up -o back", "ls"]
    said = run("sh", "-c", 'lftp -c "$1" 2>&1', "sh", "; ".join(commands), cwd=lab.local)
    check("200 MODE is Z: deflate" in said, said)
    check((lab.root / "up").read_bytes() == content, "another file was stored")
    check((lab.local / "back").read_bytes() == content, "another file came back")


CASES = [
    ("limits", "limits", "ftplib", "root, rights and welcome of accounts", root),
    ("limits", "limits", "ftplib", "upload size and quota", upload_and_quota),
    ("limits", "limits", "ftplib", "sessions of an account and of an address", sessions),
    ("limits", "limits", "ftplib", "rate", rate),
    ("limits", "limits", "curl", "a refused upload is told why", told_why),
    ("files", "limits", "ftplib", "killed in mid-upload", killed),
    ("files", "limits", "ftplib", "modes of new files", umask),
    ("files", "limits", "ftplib", "checksums", checksums),
    ("files", "limits", "lftp", "MODE Z", deflate),
    ("files", "limits", "ftplib", "5 GiB both ways", more_than_32_bits),
]
