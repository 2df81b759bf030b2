"""Object stores a test runs for itself: moto knows the whole contract, nanio keeps objects on disk."""

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import boto3  # type: ignore[import-untyped]
from botocore.config import Config  # type: ignore[import-untyped]

from migrator.child import die_with_parent
from migrator.demo.cluster import HOST, free_port
from tests.support.waiting import eventually

KEY_ID, SECRET_KEY = "AKIAEXAMPLEEXAMPLE00", "secret/key+of=the#bucket%0123456789abcdef"
REGION = "us-east-1"
BUCKET = "backups"
_CERTIFICATE = """
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out {authority} -days 2 -subj /CN=authority
openssl req -newkey rsa:2048 -nodes -keyout key.pem -out request.pem -subj /CN=server
printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\n' >extensions
openssl x509 -req -in request.pem -CA {authority} -CAkey ca.key -CAcreateserial -days 2 \\
    -extfile extensions -out cert.pem
"""
_COMMANDS = {
    "moto": ("moto.server",),
    "nanio": ("nanio", "serve", "--log-level", "error", "--no-access-log"),
}


@dataclass(frozen=True, slots=True)
class ObjectServer:
    """An S3-compatible server with one bucket; `objects` and `uploads` are what it says it holds."""

    kind: Literal["moto", "nanio"]
    port: int
    process: subprocess.Popen[bytes]

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    def url(self, prefix: str = "", *, port: int | None = None, **options: str) -> str:
        """The bucket as a destination of backups, perhaps behind a proxy's port."""
        given = {"endpoint": f"http://{HOST}:{port or self.port}", "region": REGION, **options}
        return f"s3://{BUCKET}/{prefix}?" + "&".join(f"{name}={value}" for name, value in given.items())

    @property
    def environ(self) -> dict[str, str]:
        """The keys, by the variables everybody uses; and no machine to ask who we are."""
        return {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_METADATA_ENDPOINT": f"http://{HOST}:9",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def answers(self) -> bool:
        """Whether somebody accepts connections."""
        with closing(socket.socket()) as probe:
            return probe.connect_ex((HOST, self.port)) == 0

    def client(self) -> Any:
        """Another client's view of it."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET_KEY,
            region_name=REGION,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def objects(self) -> list[str]:
        """Every key in the bucket."""
        return sorted(one["Key"] for one in self.client().list_objects_v2(Bucket=BUCKET).get("Contents", []))

    def uploads(self) -> list[str]:
        """Every key that an unfinished upload in the bucket is for."""
        found = self.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return sorted(one["Key"] for one in found)

    def close(self) -> None:
        """Stop it as a power cut would; stopping twice is fine."""
        self.process.kill()
        self.process.wait()


def start_objects(kind: Literal["moto", "nanio"], folder: Path) -> ObjectServer:
    """Start a server with an empty bucket; nanio keeps its objects below this folder."""
    port = free_port()
    command = [sys.executable, "-m", *_COMMANDS[kind], "--host", HOST, "--port", str(port)]
    environ = {"NANIO_ACCESS_KEY": KEY_ID, "NANIO_SECRET_KEY": SECRET_KEY, "NANIO_DATA_DIR": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env={"PATH": os.defpath, "HOME": str(folder), **environ},
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - takes no lock that another thread may hold
        )
    server = ObjectServer(kind, port, process)
    assert eventually(server.answers, seconds=30), (folder / "log").read_text()
    server.client().create_bucket(Bucket=BUCKET)
    return server


@contextmanager
def moto_with_certificate(folder: Path, authority: Path) -> Iterator[str]:
    """Run moto behind TLS, with a certificate of an authority of its own; gives its address."""
    port = free_port()
    script = _CERTIFICATE.format(authority=shlex.quote(str(authority)))
    subprocess.run(["/bin/sh", "-ec", script], cwd=folder, check=True, capture_output=True)
    options = ["--host", HOST, "--port", str(port), "--ssl", "--ssl-cert", "cert.pem", "--ssl-key", "key.pem"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", *options], cwd=folder, stdout=log, stderr=log
        )
    server = ObjectServer("moto", port, process)
    try:
        assert eventually(server.answers, seconds=30), (folder / "log").read_text()
        yield f"https://{HOST}:{port}"
    finally:
        server.close()
