"""Certificates as a server may have them, also expired ones, and a server that shows them."""

import subprocess
from datetime import datetime
from pathlib import Path

import psycopg
from psycopg import sql

from migrator.demo.cluster import Cluster

_CONFIGURATION = """\
[ca]
default_ca = own
[own]
database = {folder}/index.txt
rand_serial = yes
new_certs_dir = {folder}
default_md = sha256
policy = any
x509_extensions = extensions
[any]
commonName = supplied
[extensions]
subjectAltName = DNS:localhost,IP:127.0.0.1
"""


def speak_tls(cluster: Cluster, folder: Path, begins: datetime, ends: datetime) -> Path:
    """Give the running server a certificate of its own for this time; return its file."""
    key, request, certificate = folder / "key.pem", folder / "request.pem", folder / "certificate.pem"
    (folder / "index.txt").write_text("")
    (folder / "index.txt.attr").write_text("unique_subject = no\n")
    (folder / "ca.cnf").write_text(_CONFIGURATION.format(folder=folder))
    who = ("-subj", "/CN=localhost", "-keyout", key, "-out", request)
    _openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", *who)
    times = ("-startdate", f"{begins:%Y%m%d%H%M%SZ}", "-enddate", f"{ends:%Y%m%d%H%M%SZ}")
    own = ("-config", folder / "ca.cnf", "-keyfile", key, "-in", request, "-out", certificate)
    _openssl("ca", "-selfsign", "-batch", "-notext", *own, *times)
    with psycopg.connect(**cluster.admin_params(), autocommit=True) as session:
        # Only the server's own account can write a key that the server accepts.
        for name, file in (("server.key", key), ("server.crt", certificate)):
            write = sql.SQL("COPY (SELECT {}) TO PROGRAM {}").format(
                sql.Literal(file.read_text().strip().replace("\n", "|")),
                sql.Literal(f"umask 077; tr '|' '\\n' > {name}"),
            )
            session.execute(write)
        session.execute("ALTER SYSTEM SET ssl = on")
        session.execute("SELECT pg_reload_conf()")
    return certificate


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
