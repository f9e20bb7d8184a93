"""pyftpdlib as an FTP server: pyftpdlib_server.py ADDRESS DIRECTORY"""

import logging
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

address, directory = sys.argv[1:]
logging.basicConfig(level=logging.ERROR)
FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_anonymous(directory, perm="elradfmwMT")
FTPHandler.timeout = 0
FTPServer.max_cons = 0
FTPServer((address, 21), FTPHandler, backlog=4096).serve_forever(handle_exit=False)
