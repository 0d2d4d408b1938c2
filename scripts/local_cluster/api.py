"""Asking the API server and the parts' health addresses over HTTP."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any
from urllib.parse import urlsplit

from common.waiting import NotYet
from local_cluster.addresses import API_SERVER
from local_cluster.certificates import ADMIN, Pki
from local_cluster.cluster_paths import Layout

_TIMEOUT_S = 5.0


def get_json(layout: Layout, path: str) -> dict[str, Any]:
    """Give an object of the Kubernetes API, asked for as administrator.

    Args:
        layout: the cluster's files.
        path: like `/api/v1/nodes/NAME`.

    Raises:
        NotYet: the API server does not answer, or not with 200.
    """
    answer: dict[str, Any] = json.loads(_get(f"{API_SERVER}{path}", _admin_context(layout)))
    return answer


def get_text(layout: Layout, path: str) -> str:
    """Give what the API server answers, asked as administrator.

    Raises:
        NotYet: the API server does not answer, or not with 200.
    """
    return _get(f"{API_SERVER}{path}", _admin_context(layout))


def get_health(url: str) -> str:
    """Give what a part says of its health, asked by nobody in particular.

    Raises:
        NotYet: it does not answer, or not with 200.
    """
    # Scheduler and controller manager answer under certificates they make for themselves.
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


def _admin_context(layout: Layout) -> ssl.SSLContext:
    pki = Pki(layout.pki)
    try:
        context = ssl.create_default_context(cafile=str(pki.authority))
        context.load_cert_chain(pki.certificate(ADMIN), pki.key(ADMIN))
    except FileNotFoundError:
        raise NotYet("there are no certificates") from None
    return context
