"""Links between the Markdown pages, and the files, pages and test groups that pages and code name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from testing.groups import list_groups

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])
FENCED_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?://)([^)#\s]*)(?:#([^)\s]+))?\)")
FILE = re.compile(r"(?<![\w/.-])((?:platform|helm|rbac|pod_templates|scripts|tests|docs|requirements)/[\w./*-]*\w)")
TEST_GROUPS = re.compile(r"scripts/test --all ([a-z -]*[a-z])")
FOLDERS = "platform", "helm", "rbac", "pod_templates", "scripts", "dags", "docs"
PAGE_OR_ROLE = re.compile(r"\b(?:docs/[\w-]+\.md|rbac/[\w*-]+\.yaml)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def page_prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return FENCED_BLOCK.sub("", page.read_text(encoding="utf-8"))


def heading_anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives the headings of a page."""
    headings = (heading.strip().lower().replace(" ", "-") for heading in HEADING.findall(page_prose(page)))
    return {re.sub(r"[^\w-]", "", heading) for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    """Yield the links of a page that lead to no file or no heading."""
    for path, anchor in LINK.findall(page_prose(page)):
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in heading_anchors(target)):
            yield f"{path}#{anchor}" if anchor else path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_page_lead_to_files_and_headings(page: Path):
    assert list(broken_links(page)) == []


def test_index_links_every_page_of_docs():
    linked = {path for path, _ in LINK.findall(page_prose(ROOT / "docs" / "README.md"))}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - linked == {"README.md"}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=lambda page: page.name)
def test_files_and_test_groups_named_in_page_exist(page: Path):
    text = page.read_text(encoding="utf-8")
    named_groups = {group for groups in TEST_GROUPS.findall(text) for group in groups.split()}
    assert [name for name in FILE.findall(text) if not list(ROOT.glob(name))] == []
    assert named_groups - set(list_groups()) == set()


def pages_and_roles_named_in(folder: Path) -> set[str]:
    """Return the pages of docs/ and the files of rbac/ that the files of a folder name."""
    paths = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {name for path in paths for name in PAGE_OR_ROLE.findall(path.read_text(encoding="utf-8", errors="ignore"))}


@pytest.mark.parametrize("folder", FOLDERS)
def test_pages_and_roles_named_in_folder_exist(folder: str):
    assert [name for name in sorted(pages_and_roles_named_in(ROOT / folder)) if not list(ROOT.glob(name))] == []


def role_files_in_messages(module: Path) -> Iterator[str]:
    """Yield the files of rbac/ that a module's strings name, except in docstrings."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield from (name for name in PAGE_OR_ROLE.findall(node.value) if name.startswith("rbac/"))


def test_messages_name_role_files_by_the_rules_of_the_contract():
    """`find_role_files` finds the file that grants a call, so a message has no name of its own."""
    modules = sorted((ROOT / "platform" / "kpo_platform").rglob("*.py"))
    assert [(module.name, name) for module in modules for name in role_files_in_messages(module)] == []
