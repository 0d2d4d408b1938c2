"""A registry that asks for a password, on the cluster's own network, with one private image in it.

It is distribution's program, built with the cluster's others. It listens in the cluster's network namespace on
localhost:5000, which containerd, and no other host, may reach without TLS; or with TLS at the node's address.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import secrets
import ssl
import subprocess
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.command import capture_output
from common.paths import cache_path
from common.polling import NotYet, wait_for
from local_cluster.addresses import NAME, NODE_IP

HOST = "localhost:5000"
TLS_HOST = f"{NODE_IP}:5443"
_OCI = "application/vnd.oci.image"


@dataclass(frozen=True)
class Registry:
    """A running registry and the sign-in that it wants; with the certificate of its authority where it speaks TLS."""

    user: str
    password: str = field(repr=False)
    authority: Path | None = None

    @property
    def host(self) -> str:
        """Its host, as images name it."""
        return TLS_HOST if self.authority else HOST

    def login(self, password: str = "") -> dict[str, Any]:
        """The sign-in as a docker config has it, or one with another password."""
        secret = password or self.password
        both = base64.b64encode(f"{self.user}:{secret}".encode()).decode()
        return {"auths": {self.host: {"username": self.user, "password": secret, "auth": both}}}

    def push(self, repository: str, tag: str, archive: Path, files: dict[str, str]) -> None:
        """Push the image of an archive with one more layer, of these files."""
        with tarfile.open(archive) as tar:
            entry = json.loads(_read(tar, "manifest.json"))[0]
            config = json.loads(_read(tar, entry["Config"]))
            layers = [*(_read(tar, name) for name in entry["Layers"]), _layer(files)]
        config["rootfs"]["diff_ids"] = [_digest(layer) for layer in layers]
        text = json.dumps(config).encode()
        for blob in (text, *layers):
            self._upload(repository, blob)
        described = [_described(f"{_OCI}.layer.v1.tar", layer) for layer in layers]
        kind = f"{_OCI}.manifest.v1+json"
        whole = {"schemaVersion": 2, "mediaType": kind, "config": _described(f"{_OCI}.config.v1+json", text)}
        self.call("PUT", f"{repository}/manifests/{tag}", json.dumps({**whole, "layers": described}).encode(), kind)

    def call(self, method: str, path: str, body: bytes | None = None, kind: str = "application/octet-stream") -> str:
        """Send a request to a path below /v2/, or to a whole address, and give where the answer points."""
        here = f"https://{TLS_HOST}" if self.authority else f"http://{NODE_IP}:5000"
        address = path if path.startswith("http") else f"{here}/v2/{path}"
        sign_in = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {sign_in}", "Content-Type": kind}
        request = urllib.request.Request(address, body, headers, method=method)
        trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.authority))
        with urllib.request.build_opener(urllib.request.ProxyHandler({}), trust).open(request, timeout=30) as reply:
            return str(reply.headers.get("Location", ""))

    def _upload(self, repository: str, blob: bytes) -> None:
        where = self.call("POST", f"{repository}/blobs/uploads/", b"")
        self.call("PUT", f"{where}{'&' if '?' in where else '?'}digest={_digest(blob)}", blob)


@contextmanager
def running(programs: Path, folder: Path, *, tls: bool = False) -> Iterator[Registry]:
    """Run a registry while the block lasts; what it stored goes with the folder."""
    registry = Registry("partner", secrets.token_urlsafe(24), _authority(folder) if tls else None)
    salt = "$2b$05$" + secrets.token_hex(11)
    crypt = ("perl", "-e", "chomp(my $p = <STDIN>); print crypt($p, $ARGV[0])", salt)  # Python's own is on its way out
    users = folder / "htpasswd"
    users.write_text(f"{registry.user}:{capture_output(crypt, stdin=registry.password)}\n")
    config = folder / "config.yml"
    config.write_text(json.dumps(_config(folder, users, tls)))
    command = ["ip", "netns", "exec", NAME, programs / "registry", "serve", config]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for("the registry to answer", lambda: _answers(registry, folder / "log"), deadline_s=30)
            yield registry
        finally:
            process.terminate()


def base_image() -> Path:
    """The archive of the cluster's busybox."""
    return max(cache_path("base-images").glob("*/busybox.tar"), key=lambda file: file.stat().st_mtime)


def _authority(folder: Path) -> Path:
    """Make a certificate for the node's address, its own authority, with its key beside it."""
    certificate = folder / "registry.crt"
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-keyout", folder / "registry.key")
    name = ("-subj", "/CN=registry", "-addext", f"subjectAltName=IP:{NODE_IP}", "-days", "2")
    capture_output(("openssl", "req", "-x509", "-nodes", *key, *name, "-out", certificate))
    return certificate


def _config(folder: Path, users: Path, tls: bool) -> dict[str, Any]:
    files = {"certificate": str(folder / "registry.crt"), "key": str(folder / "registry.key")}
    return {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": ":5443", "tls": files} if tls else {"addr": ":5000"},
        "auth": {"htpasswd": {"realm": "partner", "path": str(users)}},
    }


def _answers(registry: Registry, log: Path) -> None:
    try:
        registry.call("GET", "")
    except OSError as error:
        raise NotYet(f"{error}; its log ends with {log.read_text()[-300:]!r}") from None


def _layer(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(text.encode()), 0o644
            tar.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.extractfile(name)
    assert member
    return member.read()


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _described(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(blob), "size": len(blob)}
