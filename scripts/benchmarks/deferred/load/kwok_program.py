"""The program kwok, which plays a node with thousands of pods: built from a Go module when a benchmark needs it."""

from __future__ import annotations

from pathlib import Path

from common.command import Progress
from common.files import atomic_folder, hash_files
from common.mutex import hold_lock
from common.paths import cache_path
from images.go_program import compile_program

_MODULE = Path(__file__).with_name("kwok")
_PACKAGE = "sigs.k8s.io/kwok/cmd/kwok"


def build_kwok(progress: Progress) -> Path:
    """Build kwok unless it exists, and return the path of the program.

    Args:
        progress: called with the current activity.

    Raises:
        ScriptError: no Go compiler is available, or the build failed.
    """
    folder = cache_path("kwok", hash_files([_MODULE / "go.mod", _MODULE / "go.sum"], _PACKAGE))
    with hold_lock(cache_path("kwok", "lock"), "building kwok", progress):
        if not folder.exists():
            with atomic_folder(folder) as draft:
                compile_program(_PACKAGE, _MODULE, draft / "kwok", progress)
    return folder / "kwok"
