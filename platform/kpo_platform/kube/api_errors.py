"""Translate errors of the Kubernetes client library into errors of kpo_platform.errors."""

from __future__ import annotations

import json
import re
import ssl

import urllib3
from kubernetes import client

from kpo_platform.errors import ClusterError, Conflict, Forbidden, NotFound, Unreachable
from kpo_platform.kube.resource import VOLUME_CLAIM, Object


def translate_error(error: BaseException, call: str, server: str, role_files: str) -> ClusterError:
    """Translate an error of the client library.

    Args:
        error: the library's error.
        call: the call, as `Call` formats it.
        server: the URL of the API server.
        role_files: the files under rbac/ that grant the call.
    """
    status, message = _read_status(error), read_message(error)
    cause = message.rstrip(".")
    if status == 404:
        return NotFound(f"Cannot {call}: {cause or 'not found'}", "Check the name and the namespace.")
    if status == 401:
        return ClusterError(
            f"The API server {server} rejected your credentials: the kubeconfig's token or certificate is invalid "
            "or expired. Log in again."
        )
    if status == 403 and is_missing_right(message):  # admission (quota, Pod Security) answers 403 too
        return Forbidden(f"Cannot {call}: {cause or 'forbidden'}. Ask for the rights of {role_files}.")
    if not status:
        return _translate_connection_error(_find_root_cause(error), call, server)
    kind = Conflict if status == 409 else ClusterError
    return kind(f"The API server refused to {call}: {cause or f'HTTP {status}'}", _choose_fix(status))


def _choose_fix(status: int) -> str:
    """Return what to do about a refused call."""
    if status == 409:
        return "Run the command again."
    if status == 429 or status >= 500:
        return "Run the command again later."
    return "Remove this cause, and run the command again."


def _read_status(error: BaseException) -> int:
    if not isinstance(error, client.ApiException):
        return 0
    # A rejected websocket has its status only in the message.
    handshake = re.match(r"Handshake status (\d+)", str(error.reason))
    return int(handshake[1]) if handshake else int(error.status or 0)


_LONGEST_MESSAGE = 500  # an admission webhook may send a message of any length
_MISSING_RIGHT = re.compile(r'(?:\S+(?: "[^"]*")? is forbidden: )?User "[^"]*" cannot ')


def is_missing_right(message: str) -> bool:
    """Whether the message of a refusal with status 403 is about a right of the user, and not about the object."""
    return not message or _MISSING_RIGHT.match(message) is not None


def read_message(error: BaseException, longest: int | None = _LONGEST_MESSAGE) -> str:
    """Read the message in the answer of the API server; empty if it has none."""
    try:
        body = json.loads(getattr(error, "body", None) or "")
        return str(body["message"])[:longest]
    except (ValueError, KeyError, TypeError):
        return ""


def _translate_connection_error(cause: BaseException, call: str, server: str) -> Unreachable:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Unreachable(
            f"Cannot verify the certificate of the API server {server} ({cause.verify_message}): "
            "the kubeconfig belongs to another cluster, or is older than this one. Get its current kubeconfig."
        )
    reason = getattr(cause, "reason", None) or getattr(cause, "strerror", None) or str(cause)
    if isinstance(cause, urllib3.exceptions.TimeoutError | TimeoutError):
        reason = "timed out"
    return Unreachable(
        f"No answer from the API server {server} to: {call} ({reason}). "
        "Check that the cluster is up, and check --kubeconfig and --context."
    )


def _find_root_cause(error: BaseException) -> BaseException:
    while isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        error = error.reason
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, urllib3.exceptions.SSLError) and isinstance(error.args[0], Exception):
        return error.args[0]
    return error


_APPLY_CONFLICT = "Apply failed with"  # the API server's message; after other conflicts a second run succeeds


def add_conflict_fix(error: Conflict, body: Object, manager: str) -> Conflict:
    """Add instructions to server-side-apply conflicts.

    For a volume claim they force the fields instead of deleting the object, which would delete its data.

    Args:
        error: the conflict.
        body: the applied object; a claim holds no secret, so the message may contain it.
        manager: platformctl's field manager.
    """
    if _APPLY_CONFLICT not in str(error):
        return error
    kind, meta = body["kind"], body["metadata"]
    if kind == VOLUME_CLAIM.kind:
        text = json.dumps(body, separators=(",", ":"))
        force = f"kubectl apply --server-side --force-conflicts --field-manager={manager} -f -"
        return Conflict(error.evidence, f"To overwrite the other manager's fields, run: echo '{text}' | {force}")
    delete = f"kubectl -n {meta['namespace']} delete {kind.lower()} {meta['name']}"
    fix = f"To overwrite the other manager's fields, run: {delete}, and run bootstrap again."
    return Conflict(error.evidence, fix)
