"""An application that does everything at import."""

import atexit
import logging
import os
import sys
import threading
import time
import warnings

# a heavy import
import asyncio, concurrent.futures, ctypes, decimal, email.mime.text, http.server, sqlite3, unittest, xml.dom.minidom, xmlrpc.client  # noqa

print("\x1b[32mbigapp\x1b[0m is starting " + "." * 5000)
sys.stdout.write("no line end")
os.write(1, b" and bytes \xff\xfe\n")
warnings.warn("bigapp is deprecated", DeprecationWarning, stacklevel=1)
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, force=True)
atexit.register(print, "good bye")


def beat():
    while True:
        time.sleep(0.05)
        print("tick", flush=True)


threading.Thread(target=beat, daemon=True).start()
threading.Thread(target=time.sleep, args=(0.3,)).start()
