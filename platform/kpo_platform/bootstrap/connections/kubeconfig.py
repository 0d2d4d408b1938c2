"""A kubeconfig made fit for Airflow's pods: one cluster, one user, everything in itself."""

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

_CLUSTER_FIELDS = ("server", "certificate-authority-data", "insecure-skip-tls-verify", "tls-server-name", "proxy-url")
_USER_FIELDS = ("token", "client-certificate-data", "client-key-data")
_ENTRY_NAME = "target"


@dataclass(frozen=True)
class KubeconfigContext:
    """One context of a kubeconfig.

    Attributes:
        origin: the file and context, for messages.
        cluster: the cluster's entry, with its certificate inside.
        user: the user's entry as it stands in the file, files read in.
    """

    origin: str
    cluster: Mapping[str, Any]
    user: Mapping[str, Any] = field(repr=False)

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return str(self.cluster["server"])

    def build_standalone(self) -> dict[str, Any]:
        """The kubeconfig of this user, for somebody who has neither its files nor its programs.

        Raises:
            BootstrapError: the user signs in by something else than a token or a client certificate.
        """
        user = {key: self.user[key] for key in _USER_FIELDS if self.user.get(key)}
        if "token" not in user and not {"client-certificate-data", "client-key-data"} <= user.keys():
            raise BootstrapError(
                f"The user of {self.origin} has neither a token nor a client certificate with its key "
                f"(it has: {', '.join(sorted(self.user)) or 'nothing'}), and Airflow's pods can sign in by nothing "
                "else: name another context, or use connection.mode remote."
            )
        return build_kubeconfig(self.cluster, user)


def read_context(file: str, context: str | None) -> KubeconfigContext:
    """Read one context of a kubeconfig.

    Args:
        file: its path.
        context: the context's name; without one its current one.

    Raises:
        BootstrapError: it cannot be read, has no such context, or leads to where no pod comes.
    """
    content = _load(file)
    name = context or str(content.get("current-context") or "")
    chosen = _find_entry(content, "contexts", "context", name, file)
    origin = f"{file}, context {name}"
    folder = Path(file).parent
    cluster = _inline_files(_find_entry(content, "clusters", "cluster", str(chosen.get("cluster")), file), folder)
    user = _inline_files(_find_entry(content, "users", "user", str(chosen.get("user")), file), folder)
    _reject_loopback(str(cluster.get("server", "")), origin)
    return KubeconfigContext(origin, {key: cluster[key] for key in _CLUSTER_FIELDS if key in cluster}, user)


def build_kubeconfig(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> dict[str, Any]:
    """A kubeconfig of one cluster and one user."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _ENTRY_NAME, "cluster": dict(cluster)}],
        "users": [{"name": _ENTRY_NAME, "user": dict(user)}],
        "contexts": [{"name": _ENTRY_NAME, "context": {"cluster": _ENTRY_NAME, "user": _ENTRY_NAME}}],
        "current-context": _ENTRY_NAME,
    }


def compute_fingerprint(config: Mapping[str, Any]) -> str:
    """By what a kubeconfig is known again without being shown; tokens and keys are too long to be guessed from it."""
    return sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


def _load(file: str) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise BootstrapError(f"The kubeconfig {file} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError):
        content = None
    if not isinstance(content, dict):
        # Unchained: the parser quotes the text, which is secret.
        raise BootstrapError(f"The kubeconfig {file} is broken: expected YAML as kubectl reads it.")
    return content


def _find_entry(content: Mapping[str, Any], kind: str, key: str, name: str, file: str) -> Mapping[str, Any]:
    entries: Iterable[Mapping[str, Any]] = content.get(kind) or []
    known = {str(each.get("name")): each.get(key) or {} for each in entries}
    if name not in known:
        raise BootstrapError(
            f"The kubeconfig {file} has no entry {name!r} in its {kind}; it has: {', '.join(sorted(known)) or 'none'}."
        )
    return dict(known[name])


def _inline_files(entry: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """An entry with the content of the files that it names."""
    found = dict(entry)
    for key in ("certificate-authority", "client-certificate", "client-key"):
        if file := found.pop(key, None):
            found.setdefault(f"{key}-data", base64.b64encode(_read_file(folder / file)).decode())
    if file := found.pop("tokenFile", None):
        found.setdefault("token", _read_file(folder / file).decode().strip())
    return found


def _read_file(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BootstrapError(f"The file {file} that the kubeconfig names cannot be read: {error.strerror}.") from error


def _reject_loopback(server: str, origin: str) -> None:
    host = urlsplit(server).hostname or ""
    try:
        local = ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if local or not host:
        raise BootstrapError(
            f"The server {server or '(none)'} of {origin} is this machine to whoever asks: "
            "name a context whose server Airflow's pods reach as well."
        )
