"""Supported versions of the Kubernetes provider."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from kpo_platform.airflow.provider_version import NEWEST, OLDEST, PROVIDER_VERSION, is_supported, warn_if_unsupported
from unit.support.published_contract import Publish

UNSUPPORTED_VERSION = """
import json, warnings
import airflow.providers.cncf.kubernetes as provider
provider.__version__ = "10.26.0"
warnings.simplefilter("ignore")
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.arguments.serialize import serialize_pod
from kpo_platform.airflow.exceptions import RefusedPod

overridden = "execute trigger_reentry on_kill get_or_create_pod invoke_defer_method resume_execution".split()
stock = [getattr(TeamPodOperator, name) is getattr(KubernetesPodOperator, name) for name in overridden]
override = {"spec": {"containers": [{"name": "base", "workingDir": "/data"}]}}
common = {"task_id": "t", "team": "alpha", "image": "b:1", "random_name_suffix": False}
task = TeamPodOperator(**common, cmds=["echo"], labels={"x": "y"}, env_vars={"A": "1"}, pod_override=override)
pod = serialize_pod(task.build_pod_request_obj(dry_run=True))
refused = TeamPodOperator(**common, full_pod_spec={"metadata": {"namespace": "team-beta"}})
try:
    refused.build_pod_request_obj(dry_run=True)
except RefusedPod as error:
    refusal = str(error)
print(json.dumps({"stock": all(stock), "pod": pod, "refusal": refusal}))
"""
"""Program that builds pods with a provider of an unsupported version."""

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


def read_pinned_version(lock: str) -> tuple[int, int]:
    match = re.search(r"cncf-kubernetes==(\d+)\.(\d+)", (REQUIREMENTS / lock).read_text(encoding="utf-8"))
    assert match
    return int(match[1]), int(match[2])


def test_version_range_matches_the_lock_files():
    assert (read_pinned_version("airflow.txt"), read_pinned_version("providers.txt")) == (OLDEST, NEWEST)
    assert PROVIDER_VERSION.startswith((f"{OLDEST[0]}.{OLDEST[1]}.", f"{NEWEST[0]}.{NEWEST[1]}."))


@pytest.mark.parametrize(
    ("version", "supported"),
    [("10.21.9", False), ("10.22.0", True), ("10.25.3", True), ("10.26.0", False), ("11.0.0", False)],
)
def test_versions_in_the_range_are_supported(version: str, supported: bool):
    assert is_supported(version) is supported


def test_unsupported_version_warns_once():
    warn_if_unsupported.cache_clear()
    with warnings.catch_warnings(record=True) as messages:
        warnings.simplefilter("always")
        for version in ("10.26.0", "10.26.0", PROVIDER_VERSION):
            warn_if_unsupported(version)
    assert [str(message.message) for message in messages] == [
        "apache-airflow-providers-cncf-kubernetes 10.26.0 is not supported: TeamPodOperator is tested with 10.22 to "
        "10.25. The stock operator builds and runs the pod, with the team's defaults and limits. Install a provider in "
        "that range, or upgrade kpo-platform."
    ]


def test_unknown_argument_of_unsupported_version_is_passed_on(build: object, monkeypatch: pytest.MonkeyPatch):
    from kpo_platform import TeamPodOperator
    from kpo_platform.airflow.operators import team_pod

    monkeypatch.setattr(team_pod, "is_supported", lambda: False)
    with pytest.raises(TypeError, match=r"(?s)^Invalid arguments were passed to TeamPodOperator .*'brand_new': 1"):
        TeamPodOperator(task_id="t", team="alpha", image="b:1", brand_new=1)


def test_unsupported_version_uses_the_stock_operator(publish: Publish):
    publish()
    paths = os.pathsep.join(sys.path)
    command = [sys.executable, "-c", UNSUPPORTED_VERSION]
    process = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=120, check=False
    )
    assert process.returncode == 0, process.stderr
    report = json.loads(process.stdout.splitlines()[-1])
    metadata, spec = report["pod"]["metadata"], report["pod"]["spec"]
    base = spec["containers"][0]
    assert {
        "stock operator": report["stock"],
        "where": (metadata["namespace"], spec["serviceAccountName"], spec["automountServiceAccountToken"]),
        "labels": {key: metadata["labels"][key] for key in ("kpo-platform/team", "cost-center", "x")},
        "program": (base["name"], base["image"], base["command"], base["workingDir"]),
        "variables": {variable["name"]: variable["value"] for variable in base["env"]},
        "limits": base["resources"]["limits"],
        "claim": [
            volume["persistentVolumeClaim"]["claimName"] for volume in spec["volumes"] if volume["name"] == "data"
        ],
        "refused": report["refusal"],
    } == {
        "stock operator": True,
        "where": ("team-alpha", "team-pod", False),
        "labels": {"kpo-platform/team": "alpha", "cost-center": "cc-1", "x": "y"},
        "program": ("base", "b:1", ["echo"], "/data"),
        "variables": {"STAGE": "test", "HOME": "/work", "A": "1"},
        "limits": {"cpu": "100m", "memory": "128Mi"},
        "claim": ["data"],
        "refused": "namespace is 'team-beta', but team 'alpha' has 'team-alpha'. Leave it out, or ask the platform "
        "team to change the team's values.",
    }
