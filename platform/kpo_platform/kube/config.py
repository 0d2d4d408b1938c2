"""Configure the Kubernetes client library from a kubeconfig or a pod's service account."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3
from kubernetes import client, config

from kpo_platform.errors import ClusterError
from kpo_platform.kube.deadline import Deadline
from kpo_platform.kube.exec_auth import load_with_exec_plugin


def configure_from_file(kubeconfig: str | None, context: str | None, deadline: Deadline) -> client.Configuration:
    """Load a kubeconfig file, or the pod's service account.

    Args:
        kubeconfig: the file; by default the one that ``find_kubeconfig`` finds.
        context: the file's context; by default the current one.
        deadline: the deadline of the file's exec plugin, also when it runs again later.

    Raises:
        ClusterError: the file or context does not exist or cannot be read, or the exec plugin failed or timed out.
    """
    settings = client.Configuration()
    file = find_kubeconfig(kubeconfig)
    origin = f"kubeconfig {file}" if file else "the service account of this pod"
    try:
        if file:
            load_with_exec_plugin(deadline, file, context, settings)
        else:
            config.load_incluster_config(settings)
    except ClusterError:
        raise
    except Exception as error:  # YAML, OpenSSL and auth plugins may raise anything
        raise ClusterError(
            f"Cannot use {origin}: {_describe_cause(error)}. "
            "Pass a kubeconfig with --kubeconfig or KUBECONFIG, and one of its contexts with --context."
        ) from error
    if not settings.verify_ssl:
        # The kubeconfig disables verification, so the warning with every call says nothing new.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    # By default the library tries four times and logs each attempt.
    settings.retries = urllib3.Retry(0)
    return settings


def configure_from_dict(content: Mapping[str, Any]) -> client.Configuration:
    """Load the content of a kubeconfig.

    Raises:
        ClusterError: the kubeconfig cannot be used.
    """
    settings = client.Configuration()
    try:
        config.load_kube_config_from_dict(dict(content), client_configuration=settings, persist_config=False)
    except Exception as error:  # may be anything, and its message may quote a key
        raise ClusterError(
            "Cannot use the kubeconfig: its certificate, key or token is invalid. "
            "Log in again, or name another kubeconfig."
        ) from error
    settings.retries = urllib3.Retry(0)
    return settings


def find_kubeconfig(file: str | None = None) -> str | None:
    """Find the kubeconfig to use: the given file, ``KUBECONFIG``, or ``~/.kube/config``.

    The client library reads ``KUBECONFIG`` at import, which is too early for a process that sets it later.

    Returns:
        The file; None in a pod without a kubeconfig, where the service account is used.
    """
    default = Path.home() / ".kube" / "config"
    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ and not default.exists()
    return file or os.environ.get("KUBECONFIG") or (None if in_pod else str(default))


def _describe_cause(error: Exception) -> str:
    """Return the loader's message on one line and without a full stop."""
    if isinstance(error, TypeError | AttributeError):
        return "the file holds no kubeconfig"  # for example a list or a string
    return " ".join(str(error).split()).rstrip(".")
