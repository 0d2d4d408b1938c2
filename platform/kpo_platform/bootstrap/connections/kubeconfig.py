"""Reduce a kubeconfig to one cluster and one user, with all files inlined, for Airflow's pods."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from kpo_platform.errors import BootstrapError

_CLUSTER_FIELDS = (
    "server",
    "certificate-authority-data",
    "insecure-skip-tls-verify",
    "tls-server-name",
    "proxy-url",
)
_USER_FIELDS = ("token", "client-certificate-data", "client-key-data")
_ENTRY_NAME = "target"


@dataclass(frozen=True)
class KubeconfigContext:
    """One context of a kubeconfig.

    Attributes:
        origin: file and context, for messages.
        cluster: the cluster entry, with its certificate inlined.
        user: the user entry, with its files inlined.
    """

    origin: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any] = field(repr=False)

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self.cluster["server"])

    def build_standalone(self) -> dict[str, Any]:
        """Build a kubeconfig that needs no other files and no exec plugin.

        Raises:
            BootstrapError: the user has neither a token nor a client certificate.
        """
        user = {key: self.user[key] for key in _USER_FIELDS if self.user.get(key)}
        if "token" not in user and not {"client-certificate-data", "client-key-data"} <= user.keys():
            raise BootstrapError(
                f"The user of {self.origin} has neither a token nor a client certificate with its key "
                f"(it has: {', '.join(sorted(self.user)) or 'nothing'}). Airflow's pods can use nothing else. "
                "Name another context or use connection.mode remote."
            )
        return build_kubeconfig(self.cluster, user)


def read_context(file: str, context: str | None) -> KubeconfigContext:
    """Read one context of a kubeconfig.

    Args:
        file: the path.
        context: the context's name; by default the current context.

    Raises:
        BootstrapError: the file cannot be read, has no such context, or names a server on this machine.
    """
    content = _load(file)
    name = context or str(content.get("current-context") or "")
    entry = _find_entry(content, "contexts", "context", name, file)
    origin = f"{file}, context {name}"
    folder = Path(file).parent
    cluster = _inline_files(_find_entry(content, "clusters", "cluster", str(entry.get("cluster")), file), folder)
    user = _inline_files(_find_entry(content, "users", "user", str(entry.get("user")), file), folder)
    _reject_loopback(str(cluster.get("server", "")), origin)
    return KubeconfigContext(origin, {key: cluster[key] for key in _CLUSTER_FIELDS if key in cluster}, user)


def build_kubeconfig(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> dict[str, Any]:
    """Build a kubeconfig with one cluster and one user."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _ENTRY_NAME, "cluster": dict(cluster)}],
        "users": [{"name": _ENTRY_NAME, "user": dict(user)}],
        "contexts": [{"name": _ENTRY_NAME, "context": {"cluster": _ENTRY_NAME, "user": _ENTRY_NAME}}],
        "current-context": _ENTRY_NAME,
    }


def compute_fingerprint(config: Mapping[str, Any]) -> str:
    """Compute a hash that identifies a kubeconfig.

    It reveals nothing: tokens and keys are too long to be guessed.
    """
    return sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def _load(file: str) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise BootstrapError(f"Cannot read kubeconfig {file}: {error.strerror}. Name another file.") from error
    except (yaml.YAMLError, UnicodeDecodeError):
        content = None
    if not isinstance(content, dict):
        # Not chained: the parser's error quotes the text, which is secret.
        raise BootstrapError(f"Kubeconfig {file} is invalid: expected YAML as kubectl reads it. Name another file.")
    return content


def _find_entry(content: Mapping[str, Any], kind: str, key: str, name: str, file: str) -> Mapping[str, Any]:
    entries: Iterable[Mapping[str, Any]] = content.get(kind) or []
    entries_by_name = {str(entry.get("name")): entry.get(key) or {} for entry in entries}
    if name not in entries_by_name:
        names = ", ".join(sorted(entries_by_name)) or "none"
        raise BootstrapError(
            f"Kubeconfig {file} has no entry {name!r} in {kind} (it has: {names}). "
            "Correct the kubeconfig or name another context."
        )
    return dict(entries_by_name[name])


def _inline_files(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Replace file names in an entry by the content of the files."""
    inlined = dict(entry)
    for key in ("certificate-authority", "client-certificate", "client-key"):
        if file := inlined.pop(key, None):
            inlined.setdefault(f"{key}-data", base64.b64encode(_read_file(folder / file)).decode())
    if file := inlined.pop("tokenFile", None):
        inlined.setdefault("token", _read_file(folder / file).decode().strip())
    return inlined


def _read_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BootstrapError(
            f"Cannot read {file}, which the kubeconfig names: {error.strerror}. Correct the kubeconfig."
        ) from error


def _reject_loopback(server: str, origin: str) -> None:
    host = urlsplit(server).hostname or ""
    try:
        is_loopback = ip_address(host).is_loopback
    except ValueError:
        is_loopback = host == "localhost"
    if is_loopback or not host:
        raise BootstrapError(
            f"Airflow's pods cannot reach the server {server or '(none)'} of {origin}: "
            f"{'it is a loopback address' if host else 'it has no host'}. Name a context with another server."
        )
