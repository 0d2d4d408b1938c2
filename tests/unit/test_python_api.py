"""The public names of the package: docs/python-api.md and the package list the same ones."""

from __future__ import annotations

import importlib
import re

import pytest

from common.paths import REPOSITORY

PAGE = (REPOSITORY / "docs" / "python-api.md").read_text(encoding="utf-8")
SECTIONS = {
    title: set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    for title, text in re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
}
MODULES = ("kpo_platform", "kpo_platform.contract", "kpo_platform.errors", "kpo_platform.testing")


def test_page_has_a_section_for_each_public_module():
    assert sorted(SECTIONS) == sorted(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_page_lists_the_public_names_of_a_module(name: str):
    assert set(importlib.import_module(name).__all__) == SECTIONS[name]


@pytest.mark.parametrize("name", MODULES)
def test_public_names_can_be_imported(name: str):
    module = importlib.import_module(name)
    assert [public for public in module.__all__ if not hasattr(module, public)] == []
