"""This machine's apt sources and settings, as files for another apt."""

from __future__ import annotations

import re
from collections.abc import Iterable

from common.command import capture_output
from common.errors import ScriptError

SUITE = "bookworm"
_FORMAT = "$(ORIGIN)|$(CODENAME)|$(REPO_URI)|$(COMPONENT)"
_PASSED_SETTINGS = re.compile(r"Acquire::(Check-|Retries|https?::)")


def read_apt_settings() -> str:
    """Return this machine's apt settings that affect downloads, as a configuration file."""
    lines = capture_output(("apt-config", "dump")).splitlines()
    return "".join(f"{line}\n" for line in lines if _PASSED_SETTINGS.match(line))


def read_apt_sources() -> str:
    """Return this machine's Debian 12 sources as a `sources.list`, without those of other projects.

    Raises:
        ScriptError: this machine has no such source.
    """
    lines = select_sources(SUITE, _index_targets())
    if not lines:
        # A fresh machine has sources, but their indexes are not downloaded yet.
        capture_output(("apt-get", "update"), timeout_s=600)
        lines = select_sources(SUITE, _index_targets())
    if not lines:
        raise ScriptError(f"Cannot build images: apt has no source for Debian {SUITE}. Add one to /etc/apt.")
    return "".join(f"{line}\n" for line in lines)


def select_sources(suite: str, targets: Iterable[str]) -> list[str]:
    """Convert apt's list of package indexes to lines of a `sources.list`.

    Args:
        suite: the code name of a release; its updates and security updates are included.
        targets: lines of origin, code name, address and component, separated by `|`.
    """
    releases = {suite, f"{suite}-updates", f"{suite}-security"}
    fields = [target.split("|") for target in targets]
    lines = {
        f"deb {address} {codename} {component}"
        for origin, codename, address, component in fields
        if origin == "Debian" and codename in releases
    }
    return sorted(lines)


def _index_targets() -> list[str]:
    return capture_output(("apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages")).splitlines()
