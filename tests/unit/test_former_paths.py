"""Former import paths that configuration files may still name."""

from __future__ import annotations

import importlib
import sys

import pytest

from kpo_platform.airflow.bundles.git import TeamGitDagBundle


def test_former_class_path_of_the_git_bundle_warns(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "kpo_platform.operator.git_bundle", raising=False)
    with pytest.warns(FutureWarning) as caught:
        module = importlib.import_module("kpo_platform.operator.git_bundle")
    assert module.TeamGitDagBundle is TeamGitDagBundle
    assert [str(warning.message) for warning in caught] == [
        "The class path kpo_platform.operator.git_bundle.TeamGitDagBundle is deprecated. "
        "Use kpo_platform.airflow.bundles.git.TeamGitDagBundle in the bundle list."
    ]
