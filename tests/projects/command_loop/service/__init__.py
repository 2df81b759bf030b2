"""A service whose database belongs to an event loop in a thread of its own."""

import asyncio
import os
import threading

from sqlalchemy.ext.asyncio import create_async_engine


class Database:
    loop = None
    engine = None

    def start(self):
        ready = threading.Event()

        def run():
            self.loop = asyncio.new_event_loop()
            self.engine = create_async_engine(os.environ["SERVICE_DSN"])
            self.loop.call_soon(ready.set)
            self.loop.run_forever()

        threading.Thread(target=run, daemon=True, name="database").start()
        ready.wait()

    def run(self, coroutine):
        if self.loop is None:
            coroutine.close()
            raise RuntimeError("the database's loop is not running")
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()


database = Database()
