"""The groups of cluster tests: one file each, found by name; a green result is kept by the hash of its inputs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from common.command import capture_output
from common.errors import ScriptError
from common.files import hash_files, write_atomically
from common.paths import REPOSITORY, cache_path

_TESTS = REPOSITORY / "tests" / "cluster"

CORE = ("quickstart", "rights", "bootstrap")
"""The groups that every run of `scripts/test` includes, in the order in which they run."""

LAST = ("interrupts", "lifecycle")
"""Groups that take the cluster down."""

_INPUTS = (
    "platform",
    "helm",
    "rbac",
    "pod_templates",
    "dags",
    "requirements",
    "scripts",
    "tests/conftest.py",
)
"""What the result of every group depends on, besides its own file and what the groups' files share."""


def all_groups() -> list[str]:
    """Give every group's name, in the order in which they run."""
    names = sorted(_group_of(file) for file in _TESTS.glob("test_*.py"))
    return [*CORE, *(name for name in names if name not in CORE + LAST), *LAST]


def chosen(names: Iterable[str]) -> list[str]:
    """Check the names that a person typed; none means all.

    Raises:
        ScriptError: there is no such group.
    """
    known = all_groups()
    wanted = set(names) or set(known)
    for name in sorted(wanted - set(known)):
        raise ScriptError(f"There is no group {name!r} of cluster tests; there are: {', '.join(known)}.")
    return [name for name in known if name in wanted]


def file_of(group: str) -> Path:
    """Return the test file of a group: bootstrap-many is tests/cluster/test_bootstrap_many.py."""
    return _TESTS / f"test_{group.replace('-', '_')}.py"


def _group_of(file: Path) -> str:
    return file.stem.removeprefix("test_").replace("_", "-")


def is_green(group: str) -> bool:
    """Tell whether a group has passed with exactly the files of this checkout."""
    return _result(group).exists()


def keep_green(group: str) -> None:
    """Remember that a group has passed with the files of this checkout."""
    write_atomically(_result(group), "passed\n")


def _result(group: str) -> Path:
    shared = [str(path.relative_to(REPOSITORY)) for path in _TESTS.iterdir() if not path.name.startswith("test_")]
    inputs = [*_INPUTS, *shared, str(file_of(group).relative_to(REPOSITORY))]
    listed = capture_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *inputs], cwd=REPOSITORY
    )
    names = [name for name in sorted(listed.splitlines()) if (REPOSITORY / name).is_file()]
    digest = hash_files((REPOSITORY / name for name in names), group, *names)
    return cache_path("results", f"{group}-{digest}")
