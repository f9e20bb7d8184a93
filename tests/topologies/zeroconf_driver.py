"""Python's zeroconf: looks for FTP servers for some seconds, and prints what it finds as JSON.

    zeroconf_driver.py ADDRESS SECONDS

ADDRESS is one of this host's, and says which network."""

import json
import sys
import time

from zeroconf import IPVersion, ServiceBrowser, Zeroconf

TYPE = "_ftp._tcp.local."


class Found:
    def __init__(self):
        self.names = []

    def add_service(self, zeroconf, kind, name):
        self.names.append(name)

    def update_service(self, zeroconf, kind, name):
        pass

    def remove_service(self, zeroconf, kind, name):
        self.names.remove(name)


def told(info):
    return {"host": info.server, "port": info.port, "addresses": info.parsed_addresses(IPVersion.All),
            "text": {key.decode(): (value or b"").decode() for key, value in info.properties.items()}}


def main():
    address, seconds = sys.argv[1], float(sys.argv[2])
    zeroconf, found = Zeroconf(interfaces=[address]), Found()
    try:
        ServiceBrowser(zeroconf, TYPE, found)
        time.sleep(seconds)
        infos = {name: zeroconf.get_service_info(TYPE, name, 3000) for name in found.names}
        print(json.dumps({name: info and told(info) for name, info in infos.items()}))
    finally:
        zeroconf.close()


main()
