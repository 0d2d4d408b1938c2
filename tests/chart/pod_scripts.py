"""Access to the Python programs that run in pods."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest

from chart.rendering import CHART


def load_script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import files/scripts/<name>.py as a module; the modules beside it can be imported too."""
    folder = CHART / "files" / "scripts"
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
