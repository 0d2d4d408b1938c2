"""Where this machine gets Debian packages, in a form that can be handed to an apt elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable

from common.errors import ScriptError
from common.run import capture

SUITE = "bookworm"
_FORMAT = "$(ORIGIN)|$(CODENAME)|$(REPO_URI)|$(COMPONENT)"
_HANDED_ON = re.compile(r"Acquire::(Check-|Retries|https?::)")


def apt_settings() -> str:
    """Give this machine's settings of apt that decide how packages are fetched, as a configuration file."""
    lines = capture(("apt-config", "dump")).splitlines()
    return "".join(f"{line}\n" for line in lines if _HANDED_ON.match(line))


def apt_sources() -> str:
    """Give this machine's sources of Debian 12 as a `sources.list`; those of other projects are left out.

    Raises:
        ScriptError: there is none.
    """
    lines = sources_of(SUITE, _index_targets())
    if not lines:
        # A fresh machine has sources, but knows what is in them only after this.
        capture(("apt-get", "update"), timeout_s=600)
        lines = sources_of(SUITE, _index_targets())
    if not lines:
        raise ScriptError(f"This machine's apt has no source for Debian {SUITE}, of which images are made: add one.")
    return "".join(f"{line}\n" for line in lines)


def sources_of(suite: str, targets: Iterable[str]) -> list[str]:
    """Turn what apt says about its package indexes into lines of a `sources.list`.

    Args:
        suite: the code name of a release; its updates and security updates come with it.
        targets: lines of origin, code name, address and component, separated by `|`.
    """
    releases = {suite, f"{suite}-updates", f"{suite}-security"}
    fields = [target.split("|") for target in targets]
    wanted = {
        f"deb {address} {codename} {component}"
        for origin, codename, address, component in fields
        if origin == "Debian" and codename in releases
    }
    return sorted(wanted)


def _index_targets() -> list[str]:
    return capture(("apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages")).splitlines()
