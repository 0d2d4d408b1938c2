"""HTTP requests to the API server and to the components' health endpoints."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

from common.polling import NotYet
from local_cluster.addresses import API_SERVER
from local_cluster.certificates import ADMIN, Pki
from local_cluster.cluster_paths import ClusterPaths

_TIMEOUT_S = 5.0


def get_json(paths: ClusterPaths, path: str) -> dict[str, Any]:
    """Return an object of the Kubernetes API, read as administrator.

    Args:
        paths: the cluster's files.
        path: like `/api/v1/nodes/NAME`.

    Raises:
        NotYet: the API server does not respond with 200.
    """
    response_object: dict[str, Any] = json.loads(_get(f"{API_SERVER}{path}", _admin_context(paths)))
    return response_object


def get_text(paths: ClusterPaths, path: str) -> str:
    """Return a response of the API server as text, read as administrator.

    Raises:
        NotYet: the API server does not respond with 200.
    """
    return _get(f"{API_SERVER}{path}", _admin_context(paths))


def get_health(url: str) -> str:
    """Return the response of a component's health endpoint, read without authentication.

    Raises:
        NotYet: the component does not respond with 200.
    """
    # Scheduler and controller manager use self-signed certificates.
    return _get(url, ssl._create_unverified_context() if url.startswith("https:") else None)


def _get(url: str, context: ssl.SSLContext | None) -> str:
    address = urlsplit(url)
    host, port = address.hostname or "", address.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
        if context
        else http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    )
    try:
        connection.request("GET", address.path)
        response = connection.getresponse()
        text = response.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise NotYet(f"{url}: {error}") from None
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise NotYet(f"{url}: {response.status} {text[-300:].strip()}")
    return text


def _admin_context(paths: ClusterPaths) -> ssl.SSLContext:
    pki = Pki(paths.pki)
    try:
        context = ssl.create_default_context(cafile=str(pki.ca_certificate))
        context.load_cert_chain(pki.certificate(ADMIN), pki.key(ADMIN))
    except FileNotFoundError:
        raise NotYet("the certificates do not exist") from None
    return context
