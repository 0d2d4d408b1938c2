"""Paths of the checkout and of the scripts' cache."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def cache_path(*parts: str) -> Path:
    """Return a path below `$XDG_CACHE_HOME/kpo-platform` (or `~/.cache/kpo-platform`).

    Creates nothing. As the XDG base directory specification says, a relative `XDG_CACHE_HOME` is ignored.

    Args:
        parts: the path below the project's cache folder.
    """
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".cache"
    return base.joinpath("kpo-platform", *parts)
