"""The way to a cluster: the client library's settings out of a kubeconfig, or out of the pod that we run in."""

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
    """The settings by a kubeconfig file, or by the pod's service account.

    Args:
        kubeconfig: the file; without one what ``kubeconfig_file`` finds.
        context: the context of the file; without one its current one.
        deadline: when a sign-in program of the file has to be done, now or when it is asked again.

    Raises:
        ClusterError: there is no such file or context, it cannot be read, or its program failed or does not end.
    """
    settings = client.Configuration()
    file = find_kubeconfig(kubeconfig)
    origin = file or "the service account of this pod"
    try:
        if file:
            load_with_exec_plugin(deadline, file, context, settings)
        else:
            config.load_incluster_config(settings)
    except ClusterError:
        raise
    except Exception as error:  # the loader raises whatever YAML, OpenSSL and login plugins raise
        raise ClusterError(
            f"No way to a cluster by {origin}: {_clause(error)}; "
            "name a kubeconfig with --kubeconfig or KUBECONFIG, and a context of it with --context."
        ) from error
    if not settings.verify_ssl:
        # The kubeconfig says so; a warning with every call would only hide what matters.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    # The library would try four times and log each; a person would rather know at once.
    settings.retries = urllib3.Retry(0)
    return settings


def configure_from_dict(content: Mapping[str, Any]) -> client.Configuration:
    """The settings by a kubeconfig that is in no file.

    Raises:
        ClusterError: it cannot be used.
    """
    settings = client.Configuration()
    try:
        config.load_kube_config_from_dict(dict(content), client_configuration=settings, persist_config=False)
    except Exception as error:  # as above; the text may quote a key, so it is not repeated
        raise ClusterError("The kubeconfig's certificate, key or token cannot be read.") from error
    settings.retries = urllib3.Retry(0)
    return settings


def find_kubeconfig(given: str | None = None) -> str | None:
    """The kubeconfig to use: the given one, what ``KUBECONFIG`` names, or ``~/.kube/config``.

    The client library reads ``KUBECONFIG`` when it is imported, which is too early for a process that is told
    its environment later; so it is looked up here.

    Returns:
        The file, or nothing inside a pod that has no kubeconfig: there the service account is meant.
    """
    default = Path.home() / ".kube" / "config"
    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ and not default.exists()
    return given or os.environ.get("KUBECONFIG") or (None if in_pod else str(default))


def _clause(error: Exception) -> str:
    """What a loader says, as a part of a sentence: it speaks in whole ones, YAML in several lines."""
    if isinstance(error, TypeError | AttributeError):
        return "its content is none"  # a list or a text where a kubeconfig was expected
    return " ".join(str(error).split()).rstrip(".")
