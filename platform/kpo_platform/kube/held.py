"""What a person does about a field of ours that another hand has set."""

from __future__ import annotations

import json

from kpo_platform.errors import Conflict
from kpo_platform.kube.resource import VOLUME_CLAIM, Object

_MARK = "Apply failed with"  # how the API server begins; other conflicts are over when the caller runs again


def with_way_out(error: Conflict, body: Object, manager: str) -> Conflict:
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
