"""platformctl lint says what all teams share."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unit.support.contracts import CONTRACT
from unit.support.platformctl import Platformctl


@pytest.mark.parametrize(
    ("isolation", "access"),
    [
        ({}, "read and change"),
        ({"unlisted": "write"}, "read and change"),
        ({"unlisted": "read"}, "read"),
        ({"unlisted": "none"}, None),
        ({"enabled": False}, None),
    ],
)
def test_lint_says_what_every_team_may_do_with_names_of_no_team(
    platformctl: Platformctl, tmp_path: Path, offline_in_process: None, isolation: dict[str, object], access: str | None
):
    (tmp_path / "dags").mkdir()
    contract = tmp_path / "contract.json"
    contract.write_text(json.dumps({**CONTRACT, "isolation": isolation}))
    result = platformctl("lint", str(tmp_path / "dags"), "--contract", str(contract))
    sentence = (
        f"! Every team may {access} connections, variables and assets whose names no team owns. Begin the names of "
        "yours with the team's name, or ask the platform team to set isolation.unlisted to none."
    )
    assert (result.code, result.err.splitlines()[1:]) == (
        0,
        [*([sentence] if access else []), "0 findings in 0 DAG files."],
    )
