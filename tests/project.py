"""pyproject.toml, for tests that compare with it."""

from __future__ import annotations

import tomllib
from typing import Any

from common.paths import REPOSITORY

PYPROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]
VERSION: str = PROJECT["version"]
