"""The machine's mounts, and unmounting below a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from common.command import CommandError, capture_output
from common.errors import ScriptError


@dataclass(frozen=True)
class Mount:
    """A line of mountinfo.

    Attributes:
        point: the mount point.
        kind: the file system type.
        options: the options of the file system, not of the mount.
    """

    point: Path
    kind: str
    options: frozenset[str]


def parse_mounts(mountinfo: str) -> list[Mount]:
    """Parse `/proc/self/mountinfo` as proc(5) describes it."""
    mounts = []
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(" - ")
        kind, _, options = tail.split(" ", 2)
        mounts.append(Mount(Path(_unescape(head.split()[4])), kind, frozenset(options.split(","))))
    return mounts


def read_mounts() -> list[Mount]:
    """Return the mounts of this process."""
    return parse_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))


def unmount_below(folder: Path) -> None:
    """Unmount everything at or below a folder, latest first.

    Raises:
        ScriptError: a mount remains. Removing files below it could delete a user's data.
    """
    for point in reversed(_points_below(folder)):
        try:
            capture_output(("umount", point))
        except CommandError:
            # Busy: a process outside the cluster uses it. The mount disappears when that process exits.
            capture_output(("umount", "--lazy", point))
    if remaining := _points_below(folder):
        raise ScriptError(f"{remaining[-1]} could not be unmounted. Unmount it and run this again.")


def _points_below(folder: Path) -> list[Path]:
    return [mount.point for mount in read_mounts() if mount.point.is_relative_to(folder)]


def _unescape(field: str) -> str:
    """Decode a field of mountinfo: space, tab, newline and backslash are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
