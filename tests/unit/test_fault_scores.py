"""The scoring of `scripts/bench faults`."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.fault_scores.fault import PLATFORM_TEAM, Expected, Fault
from benchmarks.fault_scores.fixes import choose_input
from benchmarks.fault_scores.k8sgpt import list_texts
from benchmarks.fault_scores.operators import TaskRun
from benchmarks.fault_scores.outcome import Diagnosed, Healed, Outcome
from benchmarks.fault_scores.page import Figures, build_section, count, describe_seconds
from benchmarks.fault_scores.scoring import Score, has_words, is_advised, list_false_alarms, score_fault
from benchmarks.fault_scores.signals import list_reasons
from benchmarks.fault_scores.waves import play_at_once

NAMESPACE = "team-a"
GRACE_S = 10.0
EXPECTED = Expected(("KPO-STA101",), ("settings", r"not exist"), "Secret settings", "env_from", is_healable=True)
FAULT = Fault("secret", EXPECTED)
TEXT = 'Secret "settings" does not exist in team-a. Correct env_from [KPO-STA101: docs/troubleshooting.md#kpo-sta101]'


def build_finding(**fields: Any) -> dict[str, Any]:
    fix = {"text": "Correct env_from.", "commands": ["kubectl create"], "who": ""}
    about = {"kind": "Secret", "namespace": NAMESPACE, "name": "settings"}
    evidence = ["CreateContainerConfigError (container base): secret"]
    finding = {"code": "KPO-STA101", "object": about, "cause": "It is gone", "evidence": evidence, "fix": fix}
    return {**finding, "outlook": "grace", **fields}


def build_run(**fields: Any) -> TaskRun:
    lines = ((103.5, "started"), (104.25, f"Pod work-1 does not start yet: {TEXT}"))
    known = {"state": "failed", "error": f"{TEXT}\nmore", "kind": "PodLaunchFailedException", "lines": lines}
    return TaskRun(**{**known, "causes": (build_finding(),), "ended_at": 115.5, "pod": "work-1", **fields})


def score(fault: Fault = FAULT, **fields: Any) -> Score:
    stock = TaskRun("failed", "Pod work-2 returned a failure.", "AirflowException", ("Pod took too long to start.",))
    known = {
        "diagnosed": Diagnosed("plain-1", (build_finding(),), k8sgpt=("secret settings does not exist",)),
        "runs": {"team": build_run(), "stock": stock},
        "healed": Healed(("kubectl create",), is_well=True),
        "signals": {"work-1": {"CreateContainerConfigError": 104.0}},
    }
    return score_fault(fault, "references", Outcome(NAMESPACE, **{**known, **fields}), GRACE_S)


def test_right_cause_is_scored_for_everyone_that_names_it():
    found = score()
    assert found == Score(
        "secret",
        "references",
        {"diagnose": True, "team": True, "stock": False, "k8sgpt": True},
        {
            "diagnose": "KPO-STA101 Secret settings: It is gone",
            "team": TEXT,
            "stock": "Pod work-2 returned a failure. ← Pod took too long to start.",
            "k8sgpt": "secret settings does not exist",
        },
        is_healed=True,
        cause_s=0.25,
        end_s=1.5,
    )


@pytest.mark.parametrize(
    "finding",
    [
        build_finding(code="KPO-STA102"),
        build_finding(object={"kind": "Secret", "namespace": NAMESPACE, "name": "other"}),
        build_finding(object={"kind": "ConfigMap", "namespace": NAMESPACE, "name": "settings"}),
    ],
    ids=["code", "name", "kind"],
)
def test_other_code_or_object_is_wrong(finding: dict[str, Any]):
    found = score(diagnosed=Diagnosed("plain-1", (finding,)), runs={"team": build_run(causes=(finding,))})
    assert found.right == {"diagnose": False, "team": False, "stock": False}


def test_only_the_first_finding_counts():
    findings = (build_finding(code="KPO-SCH100"), build_finding())
    assert score(diagnosed=Diagnosed("plain-1", findings)).right["diagnose"] is False


def test_finding_about_a_pod_names_that_pod():
    fault = Fault("image", Expected(("KPO-IMG103",), ("tool",)), engines=("diagnose",))
    findings = [
        build_finding(code="KPO-IMG103", object={"kind": "Pod", "name": name}) for name in ("plain-1", "plain-2")
    ]
    right = [score(fault, diagnosed=Diagnosed("plain-1", (each,)), runs={}).right["diagnose"] for each in findings]
    assert right == [True, False]


def test_line_without_the_object_is_wrong():
    line = "A Secret does not exist [KPO-STA101: docs/troubleshooting.md#kpo-sta101]"
    assert score(runs={"team": build_run(error=line)}).right["team"] is False


def test_refusal_before_the_pod_is_created_needs_no_code():
    line = "Secret settings does not exist"
    kinds = ["RefusedPod", "PodLaunchFailedException"]
    right = [score(runs={"team": build_run(error=line, kind=kind)}).right["team"] for kind in kinds]
    assert right == [True, False]


def test_warning_of_a_task_that_succeeds_is_read_in_its_log():
    assert score(runs={"team": build_run(state="success", error="")}).right["team"] is True


def test_fault_that_was_not_injected_is_wrong():
    found = score(diagnosed=None, runs={}, healed=None, error="cannot inject: refused")
    assert (found.right, found.said["diagnose"], found.is_healed) == (
        {"diagnose": False, "team": False, "stock": False},
        "cannot inject: refused",
        False,
    )


def test_time_of_a_cause_that_is_only_in_the_error_is_the_end():
    assert score(runs={"team": build_run(lines=())}).cause_s == 11.5


def test_task_that_waits_for_what_may_still_come_has_no_time_of_its_failure():
    found = score(runs={"team": build_run(causes=(build_finding(outlook="waits"),))})
    assert (found.cause_s, found.end_s) == (0.25, None)


def test_words_may_name_the_namespace():
    expected = Expected((), (r"\{namespace\}",))
    assert [has_words(text, expected, "team-a") for text in ("in team-a", "in team-b", "")] == [True, False, False]


@pytest.mark.parametrize(
    ("fix", "advised"),
    [
        ({"text": "Set size.", "commands": [], "who": PLATFORM_TEAM}, True),
        ({"text": "Set it.", "commands": ["kubectl set size"], "who": PLATFORM_TEAM}, True),
        ({"text": "Set size.", "commands": [], "who": ""}, False),
        ({"text": "Change it.", "commands": [], "who": PLATFORM_TEAM}, False),
    ],
)
def test_advice_names_the_field_and_who_acts(fix: dict[str, Any], advised: bool):
    expected = Expected((), (), advice="size", who=PLATFORM_TEAM)
    assert is_advised(expected, build_finding(fix=fix)) is advised


def test_advice_without_an_object_does_not_count():
    about = {"kind": "Pod", "namespace": NAMESPACE, "name": ""}
    assert [is_advised(EXPECTED, finding) for finding in (None, build_finding(object=about))] == [False, False]


def test_healthy_pod_has_no_alarm_unless_something_is_said():
    well = TaskRun("success", lines=((1.0, "done"),))
    said = TaskRun("success", lines=((1.0, "warning [KPO-RES101: docs]"),))
    assert list_false_alarms(Diagnosed("a"), well) == []
    assert list_false_alarms(Diagnosed("a", (build_finding(),), "no JSON"), said) == [
        "diagnose: KPO-STA101 It is gone",
        "diagnose: no JSON",
        "task: warning [KPO-RES101: docs]",
    ]
    assert list_false_alarms(Diagnosed("a"), TaskRun("failed", "broken\nmore")) == ["task failed: broken"]


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("kubectl create secret generic a --from-env-file=/dev/stdin", "DRAWN=value\n"),
        ("kubectl create secret generic a --from-file=KEY=/dev/stdin", "value"),
        ("kubectl delete pod a", ""),
    ],
)
def test_standard_input_of_a_printed_command_is_filled_by_the_stated_rule(command: str, text: str):
    assert choose_input(command) == text


def test_texts_of_k8sgpt_are_those_of_the_pod():
    output = 'note\n{"results": [{"name": "a/b", "error": [{"Text": "x"}]}, {"name": "a/c", "error": [{"Text": "y"}]}]}'
    assert (list(list_texts(output, "a/b")), list(list_texts("", "a/b"))) == (["x"], [])


def test_reasons_of_pods_and_events_are_signals():
    waiting = {"state": {"waiting": {"reason": "ErrImagePull"}}}
    ended = {"state": {"terminated": {"reason": "Error"}}, "lastState": {"terminated": {"reason": "OOMKilled"}}}
    pod = {
        "status": {
            "reason": "Evicted",
            "conditions": [{"reason": "Unschedulable"}],
            "initContainerStatuses": [waiting],
            "containerStatuses": [ended],
        }
    }
    reasons = ["Evicted", "Unschedulable", "ErrImagePull", "Error", "OOMKilled"]
    assert list(filter(None, list_reasons(pod))) == reasons
    assert list(list_reasons({"involvedObject": {"name": "a"}, "reason": "Failed"})) == ["Failed"]


def test_all_items_are_played_and_counted():
    told: list[str] = []
    assert play_at_once([1, 2], lambda item: item * 2, str, told.append) == {"1": 2, "2": 4}
    assert [text.partition(",")[0] for text in told] == ["1 of 2", "2 of 2"]


def test_counts_and_seconds_are_told_of_what_is_known():
    assert (count([True, False, None]), count([None])) == ("1 of 2 (50 %)", "0 of 0")
    assert (describe_seconds([0.5, 1.5, None]), describe_seconds([1.0])) == ("1.00, 1.45, 1.50 s (2 tasks)", "")


def test_section_has_summary_families_and_everything_wrong():
    wrong = score(diagnosed=Diagnosed("plain-1"), healed=Healed(error="no finding"))
    section = build_section(Figures((score(), wrong), {"runs": ["diagnose: a|b"]}, (1.5, 1.25), 7, "0.3"))
    values = {row[0]: row[2] for row in section["rows"]}
    assert values == {
        "kinds of faults, healthy pods": "2, 1",
        "right cause and object: diagnose": "1 of 2 (50 %)",
        "right cause and object: task": "2 of 2 (100 %)",
        "right cause and object: stock operator": "0 of 2 (0 %)",
        "right cause and object: k8sgpt (0.3)": "1 of 1 (100 %)",
        "healed by the printed fix": "1 of 2 (50 %)",
        "advised": "0 of 0",
        "healthy pods with a finding": "1 of 1",
        "signal → cause in the task's log: p50, p95, max": "0.25, 0.25, 0.25 s (2 tasks)",
        "certain, or grace over → task failed: p50, p95, max": "1.50, 1.50, 1.50 s (2 tasks)",
        "failing task with its diagnosis, and without: p50": "1.50, 1.25 s",
    }
    families, errors = section["tables"]
    assert families["rows"] == [
        [
            "references",
            "2",
            "1 of 2 (50 %)",
            "2 of 2 (100 %)",
            "0 of 2 (0 %)",
            "1 of 1 (100 %)",
            "1 of 2 (50 %)",
            "0 of 0",
        ]
    ]
    assert errors["rows"] == [
        ["secret", "diagnose", ""],
        ["secret", "fix", "not healed"],
        ["runs", "healthy", "diagnose: a/b"],
    ]
