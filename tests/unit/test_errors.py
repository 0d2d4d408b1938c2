"""The tree of errors: the drawing in kpo_platform.errors and docs/python-api.md describe the classes as they are."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator

import kpo_platform
from common.paths import REPOSITORY
from kpo_platform import errors

NOT_IMPORTED = ("kpo_platform.bootstrap.playbook.library.", "kpo_platform.operator.")
"""Ansible modules, and former paths, which warn."""

Tree = dict[str, tuple[str, str]]
"""Base class and description of each error by name."""


def list_subclasses(error: type[Exception]) -> Iterator[type[Exception]]:
    for subclass in error.__subclasses__():
        if subclass.__module__.startswith("kpo_platform."):
            yield subclass
            yield from list_subclasses(subclass)


def list_errors() -> list[type[Exception]]:
    """List the package's errors, after an import of every module that may define one."""
    for module in pkgutil.walk_packages(kpo_platform.__path__, "kpo_platform."):
        if not f"{module.name}.".startswith(NOT_IMPORTED):
            importlib.import_module(module.name)
    return [errors.PlatformError, *dict.fromkeys(list_subclasses(errors.PlatformError))]


def describe(error: type[Exception]) -> tuple[str, str]:
    return error.__bases__[0].__name__, str(error.__doc__).splitlines()[0].removesuffix(".")


def list_other_exceptions() -> set[str]:
    """List the public exception classes that the package's modules define outside the tree."""
    modules = [module for name, module in sys.modules.items() if name.startswith("kpo_platform.")]
    values = [value for module in modules for value in vars(module).values() if inspect.isclass(value)]
    exceptions = [value for value in values if issubclass(value, BaseException)]
    return {
        value.__name__
        for value in exceptions
        if value.__module__.startswith("kpo_platform.")
        and not value.__name__.startswith("_")
        and not issubclass(value, errors.PlatformError)
    }


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


def test_only_a_stop_is_outside_the_tree():
    """`except Exception` in a DAG's code must not catch a stop."""
    list_errors()
    assert list_other_exceptions() == {"TaskStopped"}
