import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from logging.config import dictConfig, fileConfig

import bigapp  # noqa: F401
from alembic import context
from sqlalchemy import create_engine, engine_from_config, text

config = context.config
fileConfig(config.config_file_name)
dictConfig({"version": 1, "disable_existing_loggers": True, "root": {"level": "DEBUG"}})
logging.getLogger("sqlalchemy.engine").setLevel(logging.DEBUG)

os.chdir(tempfile.gettempdir())
os.environ["PGOPTIONS"] = ""
sys.path.insert(0, "/nowhere")
sys.argv = ["env.py"]
sys.excepthook = lambda *a: print("swallowed", a)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.run(["/bin/sh", "-c", "echo a child says hello; echo and complains >&2"])

url = config.get_main_option("sqlalchemy.url")
side = create_engine(url)
watching = side.connect()
watching.execute(text("SELECT count(*) FROM pg_class"))
watching.rollback()


def look(engine):
    with engine.connect() as connection:
        print("now", connection.execute(text("SELECT now()")).scalar())


for _ in range(3):
    threading.Thread(target=look, args=(side,)).start()

engine = engine_from_config(config.get_section(config.config_ini_section), prefix="sqlalchemy.", echo="debug", echo_pool="debug", pool_size=1)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
sys.stdout.close()
sys.stderr.close()
