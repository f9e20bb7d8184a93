"""What nmap makes of the server, and that the server outlives it."""

from lab import OTHER, SERVER, check, run
from wire import Control


def nmap(*arguments):
    words = run("nmap", "-n", "-Pn", "--host-timeout", "25s", *arguments, SERVER)
    check("21/tcp open" in words, f"port 21 is not open:\n{words}")
    with Control() as control:
        control.ask("NOOP", 200)
        check(control.fetch("README.txt"), f"no more downloads after this:\n{words}")
    return words


def scripts(_):
    # To a host that is there: the name that the script would ask for cannot be resolved here.
    # ftp-syst prints nothing about a system that says "UNIX Type: L8" and no more.
    words = nmap("-p", "21", "--script", "ftp-* and not ftp-brute",
                 "--script-args", f"ftp-bounce.checkhost={OTHER}")
    check("Anonymous FTP login allowed" in words, f"no anonymous login:\n{words}")
    check("README.txt" in words, f"nothing is listed:\n{words}")
    check("PORT response: 50" in words, f"ftp-bounce did not get as far as to PORT:\n{words}")
    check("bounce working" not in words, f"bounces:\n{words}")
    check("ERROR" not in words, f"a script failed:\n{words}")


def ports(*arguments):
    def play(_):
        words = nmap("-p", "1-1000", "-T4", *arguments)
        check("7/tcp" in words and "echo" in words, f"port 7 is not open:\n{words}")
        check(words.count("/tcp") == 2, f"what else is there?\n{words}")
    return play


CASES = [
    ("plain", "nmap", "scripts", "all for FTP but ftp-brute", scripts),
    ("plain", "nmap", "ports", "1000 ports by connect", ports("-sT")),
    ("plain", "nmap", "ports", "1000 ports by SYN", ports("-sS")),
]
