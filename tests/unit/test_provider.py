"""Which providers the operator is made for."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pytest

from kpo_platform.operator.provider import NEWEST, OLDEST, PROVIDER, supported, warn_when_unsupported

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


def pinned(lock: str) -> tuple[int, int]:
    found = re.search(r"cncf-kubernetes==(\d+)\.(\d+)", (REQUIREMENTS / lock).read_text(encoding="utf-8"))
    assert found
    return int(found[1]), int(found[2])


def test_the_oldest_and_the_newest_are_those_that_are_tested():
    assert (pinned("airflow.txt"), pinned("providers.txt")) == (OLDEST, NEWEST)
    assert PROVIDER.startswith((f"{OLDEST[0]}.{OLDEST[1]}.", f"{NEWEST[0]}.{NEWEST[1]}."))


@pytest.mark.parametrize(
    ("version", "known"),
    [("10.21.9", False), ("10.22.0", True), ("10.25.3", True), ("10.26.0", False), ("11.0.0", False)],
)
def test_versions_between_them_are_supported(version: str, known: bool):
    assert supported(version) is known


def test_another_version_is_told_once():
    warn_when_unsupported.cache_clear()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for version in ("10.26.0", "10.26.0", PROVIDER):
            warn_when_unsupported(version)
    assert [str(one.message) for one in told] == [
        "apache-airflow-providers-cncf-kubernetes 10.26.0 is outside 10.22 to 10.25, with which TeamPodOperator is "
        "tested: it leaves the run of the pod and the names of arguments to the stock operator; install a provider in "
        "that range, or upgrade kpo-platform."
    ]


def test_an_argument_of_another_version_is_left_to_the_stock_operator(build: object, monkeypatch: pytest.MonkeyPatch):
    from kpo_platform import TeamPodOperator
    from kpo_platform.operator import team_pod

    monkeypatch.setattr(team_pod, "supported", lambda: False)
    with pytest.raises(TypeError, match=r"(?s)^Invalid arguments were passed to TeamPodOperator .*'brand_new': 1"):
        TeamPodOperator(task_id="t", team="alpha", image="b:1", brand_new=1)
