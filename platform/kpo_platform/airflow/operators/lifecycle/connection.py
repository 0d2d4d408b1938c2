"""The task's connection to the cluster, which Airflow may not give out at the moment."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api
from urllib3.util.ssl_ import create_urllib3_context

from kpo_platform.airflow.api_errors import ConnectionUnreadable
from kpo_platform.pod.cluster_text import sanitize


def read_client(operator: Any) -> CoreV1Api:
    """Return the operator's client, which is built from its Airflow connection; errors of its callbacks pass through.

    Raises:
        ConnectionUnreadable: Airflow did not give out the connection, or nothing can be built from it.
    """
    try:
        operator.hook.core_v1_client  # noqa: B018
    except Exception as error:
        raise ConnectionUnreadable(
            f"Cannot read the task's connection to the cluster: {sanitize(error) or type(error).__name__}",
            "Check the connection, and Airflow's secrets backend.",
        ) from error
    client: CoreV1Api = operator.client
    share_tls_context(client.api_client)
    return client


def share_tls_context(client: ApiClient) -> None:
    """Let the connections of a client share one TLS context, for which certificates are loaded once.

    The certificates of a system take 25 ms of CPU. A file with the cluster's certificates is read for each connection
    nevertheless, because Kubernetes rotates them. So is a client certificate, but OpenSSL must not replace it while
    another thread connects; such a client, and one with an own check of host names, has a context per connection.
    """
    configuration, options = client.configuration, client.rest_client.pool_manager.connection_pool_kw
    is_special = configuration.cert_file or configuration.assert_hostname is not None
    if is_special or "ssl_context" in options or not configuration.host.startswith("https:"):
        return
    context = create_urllib3_context(cert_reqs=options["cert_reqs"])
    with suppress(OSError):  # each connection fails with the error
        if context.verify_mode is not ssl.CERT_NONE:
            _load_authorities(context, configuration.ssl_ca_cert)
        options["ssl_context"] = context


def get_tls_context(client: ApiClient) -> ssl.SSLContext | None:
    """Return the TLS context that the connections of a client share, for another one; None if they share none."""
    context: ssl.SSLContext | None = client.rest_client.pool_manager.connection_pool_kw.get("ssl_context")
    if context is not None and client.configuration.ssl_ca_cert:
        with suppress(OSError):  # what was loaded before counts
            context.load_verify_locations(client.configuration.ssl_ca_cert)
    return context


def _load_authorities(context: ssl.SSLContext, file: str | None) -> None:
    if file:
        context.load_verify_locations(file)
    else:
        context.load_default_certs()
