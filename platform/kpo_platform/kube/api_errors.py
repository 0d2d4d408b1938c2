"""What a failed call means, as one of our errors with a sentence for a person."""

from __future__ import annotations

import json
import re
import ssl

import urllib3
from kubernetes import client

from kpo_platform.errors import ClusterError, Conflict, Forbidden, NotFound, Unreachable
from kpo_platform.kube.resource import VOLUME_CLAIM, Object


def translate_error(error: BaseException, what: str, server: str, rights: str) -> ClusterError:
    """Turn a failure of the client library into one of our errors.

    Args:
        error: what the library raised.
        what: the call in words.
        server: the URL of the API server.
        rights: the file whose rights the caller needs, as part of a sentence.
    """
    status, message = _status(error), _message(error)
    if status == 404:
        return NotFound(f"Not found: {what}. {message}".rstrip())
    if status == 401:
        return ClusterError(
            f"The API server {server} does not know who you are: the kubeconfig's token or certificate is "
            "expired or wrong; sign in again."
        )
    # Admission answers 403 as well (quota, pod security); only a lack of rights is worded with "cannot".
    if status == 403 and (" cannot " in message or not message):
        return Forbidden(f"You may not {what}; ask for the rights of {rights}. {message}".rstrip())
    if not status:
        return _unanswered(_root(error), what, server)
    kind = Conflict if status == 409 else ClusterError
    return kind(f"The API server refused to {what}: {message or f'HTTP status {status}'}")


def _status(error: BaseException) -> int:
    if not isinstance(error, client.ApiException):
        return 0
    # The refusal of a websocket bears its status only in its text.
    handshake = re.match(r"Handshake status (\d+)", str(error.reason))
    return int(handshake[1]) if handshake else int(error.status or 0)


def _message(error: BaseException) -> str:
    try:
        body = json.loads(getattr(error, "body", None) or "")
        # Cut, because an admission webhook may answer with anything.
        return str(body["message"])[:500]
    except (ValueError, KeyError, TypeError):
        return ""


def _unanswered(cause: BaseException, what: str, server: str) -> Unreachable:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return Unreachable(
            f"The certificate of the API server {server} is not one that the kubeconfig trusts "
            f"({cause.verify_message}): the kubeconfig is of another cluster, or older than this one."
        )
    reason = getattr(cause, "reason", None) or getattr(cause, "strerror", None) or str(cause)
    if isinstance(cause, urllib3.exceptions.TimeoutError | TimeoutError):
        reason = "timed out"
    return Unreachable(
        f"No answer from the API server {server} to: {what} ({reason}); "
        "is the cluster up, and are --kubeconfig and --context right?"
    )


def _root(error: BaseException) -> BaseException:
    while isinstance(error, urllib3.exceptions.MaxRetryError) and error.reason is not None:
        error = error.reason
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, urllib3.exceptions.SSLError) and isinstance(error.args[0], Exception):
        return error.args[0]
    return error


_MARK = "Apply failed with"  # how the API server begins; other conflicts are over when the caller runs again


def add_conflict_fix(error: Conflict, body: Object, manager: str) -> Conflict:
    """The same error with what to do next, where a field of an applied object has another manager.

    To delete a claim is never advised, since data goes with it: its fields are taken instead.

    Args:
        error: what the API server said.
        body: the object that was to be applied; a claim has nothing secret.
        manager: the name under which our fields are held.
    """
    if _MARK not in str(error):
        return error
    kind, meta = body["kind"], body["metadata"]
    if kind == VOLUME_CLAIM.kind:
        text = json.dumps(body, separators=(",", ":"))
        taking = f"kubectl apply --server-side --force-conflicts --field-manager={manager} -f -"
        return Conflict(f"{error}. Somebody else set that; to have it as declared: echo '{text}' | {taking}")
    deleting = f"kubectl -n {meta['namespace']} delete {kind.lower()} {meta['name']}"
    return Conflict(f"{error}. Somebody else set that; to have it as declared: {deleting}, and run again.")
