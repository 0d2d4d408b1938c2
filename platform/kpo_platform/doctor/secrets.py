"""Check the Secrets that the pods of a release need.

Kubernetes reports a missing Secret only when a pod starts. A running pod keeps running, and its next start fails.
"""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.doctor.result import CheckResult, report_failure, report_incomplete, report_pass
from kpo_platform.doctor.secret_refs import SecretUse
from kpo_platform.doctor.snapshot import ReleaseSnapshot
from kpo_platform.finding import ObjectRef


def check_secrets(snapshot: ReleaseSnapshot) -> Iterator[CheckResult]:
    """Check every Secret that a pod of the release needs."""
    return (_check_secret(snapshot, name, use) for name, use in snapshot.secret_uses.items())


def _check_secret(snapshot: ReleaseSnapshot, name: str, use: SecretUse) -> CheckResult:
    secret, users = ObjectRef("Secret", name, snapshot.namespace), ", ".join(sorted(use.users))
    if name in snapshot.forbidden_secrets:
        return report_incomplete("secret", secret, f"not checked: no right to get it; used by {users}")
    required = _join_keys(use.keys)
    existing_keys = snapshot.secret_keys[name]
    if existing_keys is None:
        fix = f"Create it with the key {required}." if required else "Create it."
        return report_failure("secret", secret, f"does not exist, and {users} cannot start without it", fix)
    if missing := _join_keys(use.keys - existing_keys):
        seen = f"has no key {missing}, and {users} cannot start without it"
        return report_failure("secret", secret, seen, "Add it.")
    return report_pass("secret", secret, f"has {required}" if required else "exists")


def _join_keys(keys: set[str]) -> str:
    return " and ".join(f"`{key}`" for key in sorted(keys))
