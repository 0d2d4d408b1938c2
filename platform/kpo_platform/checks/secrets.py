"""Are the secrets there that the release's pods need?

Kubernetes says so only when a pod starts: one that runs goes on without the secret that its next start will lack.
"""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.checks.judgement import Judgement, wrong
from kpo_platform.checks.needs import needs, pod_of
from kpo_platform.checks.sight import Sight


def secrets(sight: Sight) -> Iterator[Judgement]:
    """Judge every secret that a pod of the release needs."""
    keys: dict[str, set[str]] = {}
    users: dict[str, set[str]] = {}
    for maker in (*sight.components, *sight.jobs, *sight.cron_jobs):
        for need in needs(pod_of(maker)):
            keys.setdefault(need.secret, set()).update({need.key} - {""})
            users.setdefault(need.secret, set()).add(f"{maker['kind']} {maker['metadata']['name']}")
    for name in sorted(keys):
        yield _secret(sight, name, keys[name], ", ".join(sorted(users[name])))


def _secret(sight: Sight, name: str, keys: set[str], users: str) -> Judgement:
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
