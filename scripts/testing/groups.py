"""Groups of cluster tests: one test file each; a passed result is stored under the hash of its inputs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from common.command import capture_output
from common.errors import ScriptError
from common.files import hash_files, write_atomically
from common.paths import REPOSITORY, cache_path

_TESTS = REPOSITORY / "tests" / "cluster"

CORE = ("quickstart", "rights", "bootstrap", "samples")
"""The groups of every run of `scripts/test`, in run order."""

LAST = ("run-outages", "interrupts", "lifecycle")
"""Groups that stop the cluster, or only its API server."""

_INPUTS = (
    "platform",
    "helm",
    "rbac",
    "pod_templates",
    "dags",
    "requirements",
    "scripts",
    "docs",
    "pyproject.toml",
    "tests/conftest.py",
    "tests/project.py",
    "tests/chart/rendering.py",
)
"""The inputs of every group, besides its own file and the shared files in tests/cluster (support, dags, files).

Some groups run commands from the pages in docs/.
"""


def list_groups() -> list[str]:
    """Return the names of all groups, in run order."""
    names = sorted(_group_name(file) for file in _TESTS.glob("test_*.py"))
    return [*CORE, *(name for name in names if name not in CORE + LAST), *LAST]


def select_groups(names: Iterable[str]) -> list[str]:
    """Validate group names; return all groups if there are none.

    Raises:
        ScriptError: a group does not exist.
    """
    known = list_groups()
    selected = set(names) or set(known)
    for name in sorted(selected - set(known)):
        raise ScriptError(f"Unknown group {name!r} of cluster tests. Use one of: {', '.join(known)}.")
    return [name for name in known if name in selected]


def get_test_file(group: str) -> Path:
    """Return the test file of a group: bootstrap-many is tests/cluster/test_bootstrap_many.py."""
    return _TESTS / f"test_{group.replace('-', '_')}.py"


def _group_name(file: Path) -> str:
    return file.stem.removeprefix("test_").replace("_", "-")


def has_passed(group: str) -> bool:
    """Return whether a group has passed with exactly the files of this checkout."""
    return _result_file(group).exists()


def record_pass(group: str) -> None:
    """Record that a group has passed with the files of this checkout."""
    write_atomically(_result_file(group), "passed\n")


def _result_file(group: str) -> Path:
    shared = [str(path.relative_to(REPOSITORY)) for path in _TESTS.iterdir() if not path.name.startswith("test_")]
    inputs = [*_INPUTS, *shared, str(get_test_file(group).relative_to(REPOSITORY))]
    output = capture_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *inputs], cwd=REPOSITORY
    )
    names = [name for name in sorted(output.splitlines()) if (REPOSITORY / name).is_file()]
    digest = hash_files((REPOSITORY / name for name in names), group, *names)
    return cache_path("results", f"{group}-{digest}")
