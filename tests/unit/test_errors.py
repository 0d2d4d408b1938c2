"""The tree of errors: the drawing in kpo_platform.errors and docs/python-api.md describe the classes as they are."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import kpo_platform
from common.paths import REPOSITORY
from kpo_platform import errors

NOT_IMPORTED = ("kpo_platform.bootstrap.playbook.library.", "kpo_platform.operator.")
"""Ansible modules, and former paths, which warn."""

Tree = dict[str, tuple[str, str]]
"""Base class and description of each error by name."""


def list_subclasses(error: type[BaseException]) -> Iterator[type[BaseException]]:
    """Yield the package's classes below an exception, also those below a class of another package."""
    for subclass in error.__subclasses__():
        if subclass.__module__.startswith("kpo_platform."):
            yield subclass
        yield from list_subclasses(subclass)


def list_exceptions() -> list[type[BaseException]]:
    """List the package's exceptions, after an import of every module that may define one."""
    for module in pkgutil.walk_packages(kpo_platform.__path__, "kpo_platform."):
        if not f"{module.name}.".startswith(NOT_IMPORTED):
            importlib.import_module(module.name)
    return list(dict.fromkeys(list_subclasses(BaseException)))


def list_errors() -> list[type[BaseException]]:
    """List the exceptions of the tree."""
    return [error for error in list_exceptions() if issubclass(error, errors.PlatformError)]


def describe(error: type[BaseException]) -> tuple[str, str]:
    return error.__bases__[0].__name__, str(error.__doc__).splitlines()[0].removesuffix(".")


def parse_drawing() -> Tree:
    tree: Tree = {}
    path = ["Exception"]
    for prefix, name, text in re.findall(
        r"^    ((?:[│├└ ][ ─]{3})*)(\w+) {2,}(.+)$", str(errors.__doc__), re.MULTILINE
    ):
        path = [*path[: len(prefix) // 4 + 1], name]
        tree[name] = (path[-2], text)
    return tree


def parse_page() -> Tree:
    page = (REPOSITORY / "docs" / "python-api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    return {name: (base, text) for name, base, text in rows}


def test_drawing_shows_every_error_of_the_package():
    assert parse_drawing() == {error.__name__: describe(error) for error in list_errors()}


def test_page_lists_every_error_of_the_package():
    classes = list_errors()
    public = {error.__name__: describe(error) for error in classes if error.__name__ in errors.__all__}
    other = {f"{error.__module__}.{error.__name__}": describe(error) for error in classes}
    assert parse_page() == {
        **public,
        **{name: text for name, text in other.items() if not name.startswith("kpo_platform.errors.")},
    }


def test_only_a_stop_and_a_refusal_are_outside_the_tree():
    """`except Exception` in a DAG's code must not catch a stop."""
    others = {error.__name__ for error in list_exceptions() if not issubclass(error, errors.PlatformError)}
    assert {name for name in others if not name.startswith("_")} == {"ApiRefusal", "TaskStopped"}
