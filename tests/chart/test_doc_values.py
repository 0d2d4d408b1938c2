"""The values that README.md and the pages under docs/ show."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator

import pytest
import yaml

from chart.rendering import ROOT, render

YAML_BLOCK = re.compile(r"^ *```ya?ml\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def list_yaml_blocks() -> Iterator[object]:
    """Yield one parameter for each YAML block, with page and line as its ID."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        text = page.read_text(encoding="utf-8")
        for block in YAML_BLOCK.finditer(text):
            line = text.count("\n", 0, block.start(1)) + 1
            yield pytest.param(textwrap.dedent(block[1]), id=f"{page.relative_to(ROOT)}:{line}")


YAML_BLOCKS = list(list_yaml_blocks())


def test_docs_have_yaml_blocks() -> None:
    assert len(YAML_BLOCKS) >= 16


@pytest.mark.parametrize("block", YAML_BLOCKS)
def test_yaml_block_holds_values_of_the_chart(block: str) -> None:
    """Helm checks values against values.schema.json before it renders; render() checks the objects."""
    values = yaml.safe_load(block)
    assert values
    assert render(values)
