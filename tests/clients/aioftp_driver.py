"""Does with aioftp what it reads: an operation a line, its words divided by tabs.

    aioftp_driver.py ADDRESS USER PASSWORD MODE"""

import asyncio
import logging
import os
import sys

import aioftp

BLOCK = 1 << 18


class Dialogue(logging.Handler):
    """What aioftp sends and gets is in its log, without a sign of which is which."""

    def emit(self, record):
        line = record.getMessage()
        print("<" if line[:3].isdigit() else ">", line)


async def send(connection, local, at=0):
    async with connection as stream:
        with open(local, "rb") as file:
            file.seek(at)
            while block := file.read(BLOCK):
                await stream.write(block)


async def resume(ftp, remote, local):
    with open(local, "ab") as file:
        async with ftp.download_stream(remote, offset=file.tell()) as stream:
            async for block in stream.iter_by_block(BLOCK):
                file.write(block)


async def listing(ftp, path, command):
    for name, info in await ftp.list(path, raw_command=command):
        print(name, info)


async def facts(ftp, path):
    print(await ftp.stat(path))


def operations(ftp):
    return {
        "list": lambda path: listing(ftp, path, "LIST"),
        "mlsd": lambda path: listing(ftp, path, "MLSD"),
        "facts": lambda path: facts(ftp, path),
        "get": lambda remote, local: ftp.download(remote, local, write_into=True),
        "put": lambda local, remote: ftp.upload(local, remote, write_into=True),
        "reget": lambda remote, local: resume(ftp, remote, local),
        "reput": lambda local, remote, at:
            send(ftp.upload_stream(remote, offset=int(at)), local, int(at)),
        "append": lambda local, remote: send(ftp.append_stream(remote), local),
        "mirror": lambda remote, local: ftp.download(remote, local, write_into=True),
        "mirror_up": lambda local, remote: ftp.upload(local, remote, write_into=True),
        "rename": ftp.rename,
        "delete": ftp.remove_file,
        "mkdir": ftp.make_directory,
        "rmdir": ftp.remove_directory,
        "cd": ftp.change_directory,
    }


async def main(address, user, password, mode):
    log = logging.getLogger("aioftp")
    log.setLevel(logging.DEBUG)
    log.addHandler(Dialogue())
    options = {"passive_commands": (mode,), "socket_timeout": 20, "connection_timeout": 10}
    async with aioftp.Client.context(address, 21, user, password, **options) as ftp:
        for line in sys.stdin:
            verb, *arguments = line.rstrip("\n").split("\t")
            await operations(ftp)[verb](*arguments)


try:
    asyncio.run(main(*sys.argv[1:]))
except (aioftp.AIOFTPException, OSError) as error:
    print(repr(error))
    sys.stdout.flush()
    os._exit(1)
