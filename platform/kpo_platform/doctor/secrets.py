"""Are the secrets there that the release's pods need?

Kubernetes says so only when a pod starts: one that runs goes on without the secret that its next start will lack.
"""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.doctor.result import Judgement, wrong
from kpo_platform.doctor.secret_refs import Use
from kpo_platform.doctor.snapshot import Sight


def secrets(sight: Sight) -> Iterator[Judgement]:
    """Judge every secret that a pod of the release needs."""
    return (_secret(sight, name, use) for name, use in sight.uses.items())


def _secret(sight: Sight, name: str, use: Use) -> Judgement:
    keys, users = use.keys, ", ".join(sorted(use.users))
    what = f"Secret {sight.namespace}/{name}"
    if name in sight.hidden:
        return Judgement(what, f"not seen: it takes the right to get it; needed by {users}", verified=False)
    wanted = " and ".join(f"`{key}`" for key in sorted(keys))
    found = sight.secrets[name]
    if found is None:
        remedy = f"make it with the key {wanted}" if wanted else "make it"
        return wrong("secret", what, f"is not there, and {users} cannot start without it", remedy)
    if missing := keys - found:
        lacking = " and ".join(f"`{key}`" for key in sorted(missing))
        return wrong("secret", what, f"has no key {lacking}, and {users} cannot start without it", "add it")
    return Judgement(what, f"has {wanted}" if wanted else "is there")
