"""The catalogue of `scripts/bench faults`: what every kind of fault states before it is injected."""

from __future__ import annotations

import json
import re
from dataclasses import asdict

import pytest

from benchmarks.fault_scores.catalogue.all_faults import FAMILIES, draw_faults
from benchmarks.fault_scores.catalogue.healthy import draw_healthy
from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import BASE, ENGINES, Fault
from benchmarks.fault_scores.scene import assign_teams
from kpo_platform.diagnosis.need import KINDS
from kpo_platform.diagnosis.registry import CAUSES

FAULTS = [fault for faults in draw_faults(Draw(1)).values() for fault in faults]
HEALTHY = draw_healthy(Draw(1))
CODES = {rule.code for rule in CAUSES.values()}
STATUSES = {"401", "403", "404", "429", "500", "502", "503", "504"}


def test_catalogue_has_enough_kinds_with_different_names():
    names = [each.name for each in (*FAULTS, *HEALTHY)]
    assert (len(FAULTS) >= 45, len(HEALTHY) >= 15, len(set(names))) == (True, True, len(names))


def test_catalogue_has_every_kind_of_bad_registry():
    named = {fault.name.removeprefix("registry-") for fault in FAULTS if fault.name.startswith("registry-")}
    assert named >= {*STATUSES, "hang", "self-signed", "expired", "http"}


def test_every_family_of_causes_has_kinds():
    covered = {code[:7] for fault in FAULTS for code in fault.expected.codes}
    assert covered == {code[:7] for code in CODES}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_every_kind_states_codes_words_object_and_advice(fault: Fault):
    expected = fault.expected
    kind = expected.about.partition(" ")[0]
    assert (set(expected.codes) <= CODES, bool(expected.codes), bool(expected.words)) == (True, True, True)
    assert kind in {*KINDS, "Role", "*"}
    assert all(re.compile(pattern) for pattern in (*expected.words, expected.advice))
    assert set(fault.engines) <= set(ENGINES)


def test_runs_draw_different_names_and_values():
    drawn: dict[str, set[str]] = {}
    for seed in range(8):
        for faults in draw_faults(Draw(seed)).values():
            for fault in faults:
                drawn.setdefault(fault.name, set()).add(json.dumps(asdict(fault), sort_keys=True))
    assert {name for name, forms in drawn.items() if len(forms) == 1} == CONSTANT


CONSTANT = {
    *("account", "certificate", "command-directory", "command-permission", "connection", "credentials"),
    *("exit-126", "memory-error", "namespace", "node-cordoned", "node-lost", "node-taint", "policy", "restart"),
    *("result-empty", "result-encoding", "result-nan", "right", "security-allowPrivilegeEscalation"),
    *("security-root", "timeout", "user-root"),
    *(f"signal-{name}" for name in ("ABRT", "BUS", "HUP", "ILL", "KILL", "SEGV", "TERM")),
}
"""Kinds without a name or a value to draw."""


def test_every_pod_has_the_program_and_complete_containers():
    for each in (*FAULTS, *HEALTHY):
        spec = each.build_pod()["spec"]
        containers = [*spec.get("initContainers", ()), *spec["containers"]]
        assert BASE in [container["name"] for container in spec["containers"]]
        assert all({"name", "image", "resources", "securityContext"} <= container.keys() for container in containers)


def test_fault_that_changes_its_namespace_has_a_team_of_its_own():
    teams, _ = assign_teams([*FAULTS, *HEALTHY])
    own = [fault.name for fault in FAULTS if fault.place.is_own]
    assert own
    assert all(list(teams.values()).count(teams[name]) == 1 for name in own)


def test_no_two_pods_create_the_same_object():
    created = [(each["kind"], each["metadata"]["name"]) for pod in (*FAULTS, *HEALTHY) for each in pod.objects]
    assert len(set(created)) == len(created)


def test_families_are_those_of_the_issue():
    assert list(FAMILIES) == [
        *("admission", "scheduling", "volumes", "references", "image", "start", "network", "run", "end", "results"),
    ]
