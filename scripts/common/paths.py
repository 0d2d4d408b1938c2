"""Where the scripts keep what they make: the caches under the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def cache_folder(*parts: str) -> Path:
    """Give a folder or file below `$XDG_CACHE_HOME/kpo-platform` (or `~/.cache/kpo-platform`).

    Nothing is created. By the XDG base directory specification a relative `XDG_CACHE_HOME` is ignored.

    Args:
        parts: the path below the project's cache folder.
    """
    configured = Path(os.environ.get("XDG_CACHE_HOME", ""))
    base = configured if configured.is_absolute() else Path.home() / ".cache"
    return base.joinpath("kpo-platform", *parts)
