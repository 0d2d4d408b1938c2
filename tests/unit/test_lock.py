"""scripts/lock-requirements --check: outdated locks are reported by name."""

import importlib.machinery
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from common.errors import ScriptError
from common.paths import REPOSITORY


@pytest.fixture(scope="module")
def lock() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader(
        "lock_requirements", str(REPOSITORY / "scripts" / "lock-requirements")
    )
    spec = importlib.util.spec_from_loader("lock_requirements", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REPOSITORY / "requirements", tmp_path / "requirements"))


def test_every_request_file_has_a_lock(lock: ModuleType):
    assert set(lock.LOCKS) == {file.stem for file in lock.FOLDER.glob("*.in")}


def test_locks_of_this_checkout_are_current(lock: ModuleType, folder: Path):
    lock.check(folder)


def test_changed_request_makes_dependent_locks_stale(lock: ModuleType, folder: Path):
    with (folder / "airflow.in").open("a") as file:
        file.write("another-package\n")
    with pytest.raises(ScriptError, match=r"^requirements/airflow\.txt, requirements/dev\.txt are stale"):
        lock.check(folder)


def test_edited_lock_is_stale(lock: ModuleType, folder: Path):
    tools = folder / "tools.txt"
    tools.write_text(tools.read_text().replace("uv==", "uv==9"))
    with pytest.raises(ScriptError, match=r"^requirements/tools\.txt are stale"):
        lock.check(folder)


def test_locks_contain_no_package_address(folder: Path):
    assert not [file.name for file in folder.iterdir() if "://" in file.read_text()]
