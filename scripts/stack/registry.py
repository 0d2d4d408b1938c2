"""An authenticated registry in the cluster's network, with one private image.

It is the distribution registry, built with the cluster's other programs. It listens in the cluster's network namespace
on localhost:5000, the only host that containerd accesses without TLS, or with TLS on the node's address.
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
from local_cluster.addresses import NODE_IP
from local_cluster.network import ENTER_NAMESPACE

HOST = "localhost:5000"
TLS_HOST = f"{NODE_IP}:5443"
_OCI = "application/vnd.oci.image"


@dataclass(frozen=True)
class Registry:
    """A running registry and its credentials; with TLS, also its CA certificate."""

    user: str
    password: str = field(repr=False)
    ca_file: Path | None = None

    @property
    def host(self) -> str:
        """The host in image names."""
        return TLS_HOST if self.ca_file else HOST

    def docker_config(self, password: str = "") -> dict[str, Any]:
        """Return the credentials as a Docker config, optionally with another password."""
        secret = password or self.password
        auth = base64.b64encode(f"{self.user}:{secret}".encode()).decode()
        return {"auths": {self.host: {"username": self.user, "password": secret, "auth": auth}}}

    def push_image(
        self, repository: str, tag: str, archive: Path, files: dict[str, str], changes: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Push the image of an archive with an additional layer of files, and return its descriptor.

        Args:
            repository: the name of the image.
            tag: its tag.
            archive: the archive of an image, as of `docker save`.
            files: path → text.
            changes: fields of the image's configuration that differ, such as `architecture`; those of `config` are
                merged.
        """
        with tarfile.open(archive) as tar:
            entry = json.loads(_read(tar, "manifest.json"))[0]
            config = json.loads(_read(tar, entry["Config"]))
            layers = [*(_read(tar, name) for name in entry["Layers"]), _layer(files)]
        of_container = {**config.get("config", {}), **(changes or {}).get("config", {})}
        config |= {**(changes or {}), "config": of_container}
        config["rootfs"]["diff_ids"] = [_digest(layer) for layer in layers]
        text = json.dumps(config).encode()
        for blob in (text, *layers):
            self._upload(repository, blob)
        descriptors = [_descriptor(f"{_OCI}.layer.v1.tar", layer) for layer in layers]
        kind = f"{_OCI}.manifest.v1+json"
        config_of = _descriptor(f"{_OCI}.config.v1+json", text)
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": config_of, "layers": descriptors}
        content = json.dumps(manifest).encode()
        self.send_request("PUT", f"{repository}/manifests/{tag}", content, kind)
        return _descriptor(kind, content)

    def push_index(self, repository: str, tag: str, descriptor: dict[str, Any], architecture: str) -> None:
        """Push an index with one image of this repository, by its descriptor, for Linux on an architecture."""
        kind = f"{_OCI}.index.v1+json"
        entry = {**descriptor, "platform": {"os": "linux", "architecture": architecture}}
        index = {"schemaVersion": 2, "mediaType": kind, "manifests": [entry]}
        self.send_request("PUT", f"{repository}/manifests/{tag}", json.dumps(index).encode(), kind)

    def send_request(
        self, method: str, path: str, body: bytes | None = None, kind: str = "application/octet-stream"
    ) -> str:
        """Send a request to a path below /v2/ or a URL; return its Location header."""
        base_url = f"https://{TLS_HOST}" if self.ca_file else f"http://{NODE_IP}:5000"
        address = path if path.startswith("http") else f"{base_url}/v2/{path}"
        credentials = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {credentials}", "Content-Type": kind}
        request = urllib.request.Request(address, body, headers, method=method)
        tls_handler = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.ca_file))
        with urllib.request.build_opener(urllib.request.ProxyHandler({}), tls_handler).open(
            request, timeout=30
        ) as reply:
            return str(reply.headers.get("Location", ""))

    def _upload(self, repository: str, blob: bytes) -> None:
        location = self.send_request("POST", f"{repository}/blobs/uploads/", b"")
        self.send_request("PUT", f"{location}{'&' if '?' in location else '?'}digest={_digest(blob)}", blob)


@contextmanager
def run_registry(programs: Path, folder: Path, *, tls: bool = False) -> Iterator[Registry]:
    """Run a registry during the block; its storage is in the folder."""
    registry = Registry("partner", secrets.token_urlsafe(24), _create_certificate(folder) if tls else None)
    salt = "$2b$05$" + secrets.token_hex(11)
    crypt = (
        "perl",
        "-e",
        "chomp(my $p = <STDIN>); print crypt($p, $ARGV[0])",
        salt,
    )  # Python's crypt module is deprecated
    users = folder / "htpasswd"
    users.write_text(f"{registry.user}:{capture_output(crypt, stdin=registry.password)}\n")
    config = folder / "config.yml"
    config.write_text(json.dumps(_config(folder, users, tls)))
    command: list[str | Path] = [*ENTER_NAMESPACE, programs / "registry", "serve", config]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_for("the registry to respond", lambda: _probe(registry, folder / "log"), deadline_s=30)
            yield registry
        finally:
            process.terminate()


def busybox_archive() -> Path:
    """Return the image archive of the cluster's busybox."""
    return max(cache_path("base-images").glob("*/busybox.tar"), key=lambda file: file.stat().st_mtime)


def _create_certificate(folder: Path) -> Path:
    """Create a self-signed certificate for the node's address, and its key."""
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


def _probe(registry: Registry, log: Path) -> None:
    try:
        registry.send_request("GET", "")
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


def _descriptor(kind: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": kind, "digest": _digest(blob), "size": len(blob)}
