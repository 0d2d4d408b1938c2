"""Tell a credential from other values, seldom wrongly: by what a variable is called, or by how a value is built.

No sentence here ever contains the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import iterate_containers
from kpo_platform.pod.merge import Json

_PARTS = re.compile(r"[.-]|(?<=[a-z0-9])(?=[A-Z])")
"""Where a name begins a new word, beside underscores."""

_PASSWORD = re.compile(r"(?:PASSWORD|PASSWD|PASSPHRASE)(?:_?\d+)?$", re.IGNORECASE)
"""Only at the end of a name: DB_PASSWORD and PGPASSWORD are one, PASSWORD_FILE is not."""

_NAME = re.compile(
    r"(?:^|_)(?:PASS|PWD|SECRET|TOKEN|API_?KEY|ACCESS_?KEY|SECRET_?KEY|PRIVATE_?KEY)(?:_?\d+)?$", re.IGNORECASE
)
"""At the end and a word of its own: API_TOKEN is one, TOKEN_URL and BYPASS are not."""

_NO_NAME = re.compile(r"PWD|OLDPWD|(?:.*_)?(?:FIRST|SECOND|LAST|SINGLE|TWO|MULTI|LOW|HIGH|BAND)_PASS", re.IGNORECASE)
"""The folders that every shell keeps, and a pass that is a turn or a filter."""

_NOTHING = r"|true|false|none|null|file:.*|\$\([A-Za-z_]\w*\)|<.*>|\*+"
"""Values that are no credential whatever the name: nothing, a switch, a reference, a mask."""

_HARMLESS = re.compile(_NOTHING + r"|\d{1,5}|[./~].*", re.IGNORECASE | re.DOTALL)
"""A small number or a path as well."""

_NO_PASSWORD = re.compile(_NOTHING + r"|\d|(?:\.{1,2}|~)/.*|/[^/\s]+/.*", re.IGNORECASE | re.DOTALL)
"""A password may be a number or begin with a slash; a path has a folder, and a single digit is a switch."""

_VALUES: dict[str, re.Pattern[str]] = {
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
    # Begins with a fixed text: arguments may be long scripts, and a search must take time in proportion to them.
    "a password in a URL": re.compile(r"://[^\s:/@$]{0,200}:[^\s:/@${}*<>]{3,200}@"),
}
"""Kinds of credentials that can be told by the value alone, with what tells them."""


_INSTEAD = (
    "everybody who may see pods or DAGs could read it; put it into a Secret of the team's namespace and take it from "
    "there, with env_from or secrets."
)


def check_credentials(pod: Json) -> Iterator[Refusal]:
    """Refuse literal credentials in the environment, the command and the arguments of a pod's containers."""
    for container in iterate_containers(pod):
        yield from check_container_credentials(container)


def check_container_credentials(container: Json) -> Iterator[Refusal]:
    """Refuse the literal credentials of one container: in its environment, its command and its arguments."""
    name = container.get("name")
    for variable in container.get("env") or []:
        kind = _kind(str(variable.get("name")), variable.get("value"))
        if kind:
            yield Refusal(
                "credential",
                f"The variable {variable['name']} of container {name!r} holds what looks like {kind}",
                _INSTEAD,
            )
    for field in ("command", "args"):
        for kind in sorted({_kind_of_value(word) for word in container.get(field) or []} - {""}):
            yield Refusal(
                "credential",
                f"The {field} of container {name!r} contains what looks like {kind}",
                _INSTEAD,
            )


def _kind(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return _kind_of_value(value) or ("a credential" if _by_name(_PARTS.sub("_", name), value.strip()) else "")


def _by_name(name: str, value: str) -> bool:
    if _PASSWORD.search(name):
        return not _NO_PASSWORD.fullmatch(value)
    return bool(_NAME.search(name)) and not (_NO_NAME.fullmatch(name) or _HARMLESS.fullmatch(value))


def _kind_of_value(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return next((kind for kind, pattern in _VALUES.items() if pattern.search(value)), "")
