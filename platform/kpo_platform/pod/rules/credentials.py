"""Rule: a pod has no literal credentials, found by the name of a variable or the format of a value.

Messages never contain the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import iterate_containers
from kpo_platform.pod.merge import Json

_WORD_START = re.compile(r"[.-]|(?<=[a-z0-9])(?=[A-Z])")
"""Word boundaries in a name, besides underscores."""

_PASSWORD_NAME = re.compile(r"(?:PASSWORD|PASSWD|PASSPHRASE)(?:_?\d+)?$", re.IGNORECASE)
"""Matches at the end of a name: DB_PASSWORD and PGPASSWORD, but not PASSWORD_FILE."""

_CREDENTIAL_NAME = re.compile(
    r"(?:^|_)(?:PASS|PWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|SECRET_?KEY|PRIVATE_?KEY)(?:_?\d+)?$", re.IGNORECASE
)
"""Matches the last word of a name: API_TOKEN, but not TOKEN_URL or BYPASS."""

_HARMLESS_NAME = re.compile(
    r"PWD|OLDPWD|(?:.*_)?(?:FIRST|SECOND|LAST|SINGLE|TWO|MULTI|LOW|HIGH|BAND)_PASS", re.IGNORECASE
)
"""The shell's working directories, and passes that are iterations or filters."""

_PLACEHOLDER = r"|true|false|none|null|file:.*|\$\([A-Za-z_]\w*\)|<.*>|\*+"
"""Values that are never a credential: empty, boolean, reference or mask."""

_HARMLESS_VALUE = re.compile(_PLACEHOLDER + r"|\d{1,5}|[./~].*", re.IGNORECASE | re.DOTALL)
"""Values that are not a credential: `_PLACEHOLDER`, a small number or a path."""

_HARMLESS_PASSWORD = re.compile(_PLACEHOLDER + r"|\d|(?:\.{1,2}|~)/.*|/[^/\s]+/.*", re.IGNORECASE | re.DOTALL)
"""Values that are not a password: `_PLACEHOLDER`, a digit or a path with a folder."""

_VALUE_FORMATS: dict[str, re.Pattern[str]] = {
    "an AWS access key": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a GitHub token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,})"),
    "a GitLab token": re.compile(r"\bglpat-[\w-]{20,}"),
    "a Slack token": re.compile(r"\bxox[abprs]-[\w-]{10,}"),
    "a Google API key": re.compile(r"\bAIza[\w-]{35}"),
    "a Stripe key": re.compile(r"\b[rs]k_live_[A-Za-z0-9]{16,}"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "a signed token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    "a Slack webhook": re.compile(r"\bhooks\.slack\.com/(?:services|triggers|workflows)/\w+/\w+/\w{16,}"),
    "an Azure key": re.compile(r"\b(?:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,}"),
    "an OpenAI key": re.compile(r"\bsk-(?:admin|proj|svcacct)-[\w-]{20,}"),
    # Starts with a literal, so that the search in a long script takes linear time.
    "a password in a URL": re.compile(r"://[^\s:/@$]{0,200}:[^\s:/@${}*<>]{3,200}@"),
}
"""Kinds of credentials that the format of the value identifies."""


_FIX = (
    "Put it into a Secret in the team's namespace and use it with env_from or secrets. Here, everyone who may see pods "
    "or DAGs can read it."
)


def check_credentials(pod: Json) -> Iterator[Refusal]:
    """Refuse literal credentials in the environment, the command and the arguments of a pod's containers."""
    for container in iterate_containers(pod):
        yield from check_container_credentials(container)


def check_container_credentials(container: Json) -> Iterator[Refusal]:
    """Refuse literal credentials in the environment, the command and the arguments of a container."""
    container_name = container.get("name")
    for variable in container.get("env") or []:
        kind = _identify_variable(str(variable.get("name")), variable.get("value"))
        if kind:
            yield Refusal(
                "credential",
                f"The variable {variable['name']} of container {container_name!r} looks like {kind}",
                _FIX,
            )
    for field in ("command", "args"):
        for kind in sorted({_identify_value(word) for word in container.get(field) or []} - {""}):
            yield Refusal(
                "credential",
                f"The field {field} of container {container_name!r} contains text that looks like {kind}",
                _FIX,
            )


def _identify_variable(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return _identify_value(value) or (
        "a credential" if _has_credential_name(_WORD_START.sub("_", name), value.strip()) else ""
    )


def _has_credential_name(name: str, value: str) -> bool:
    if _PASSWORD_NAME.search(name):
        return not _HARMLESS_PASSWORD.fullmatch(value)
    return bool(_CREDENTIAL_NAME.search(name)) and not (
        _HARMLESS_NAME.fullmatch(name) or _HARMLESS_VALUE.fullmatch(value)
    )


def _identify_value(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return next((kind for kind, pattern in _VALUE_FORMATS.items() if pattern.search(value)), "")
