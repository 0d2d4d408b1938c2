"""Problems of a pod that runs: probes, sidecars, restarts, its node, its deletion."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, Outlook, build_cause
from kpo_platform.diagnosis.causes.run import sidecars
from kpo_platform.diagnosis.causes.run.probe_kill import Kill, find_kill, find_recent_end
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.fixes.amounts import patch_containers
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, ObjectRef, Rule, Severity
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.json_fields import read_integer, read_object, read_objects, read_text
from kpo_platform.pod.state import CANNOT_START, ContainerState

RULES: dict[str, Rule] = {
    "kill-unknown": Rule("KPO-RUN100", "The kubelet does not kill the container."),
    "liveness-probe": Rule("KPO-RUN101", "The liveness probe succeeds while the program runs."),
    "startup-probe": Rule("KPO-RUN102", "The startup probe succeeds in time."),
    "restart-policy": Rule("KPO-RUN105", "A program that has ended is not started again."),
    "silent-node": Rule("KPO-RUN106", "The node of a running pod answers."),
    "deletion-stuck": Rule("KPO-RUN107", "A deleted pod disappears after its grace period."),
    "debug-container": Rule("KPO-RUN108", "An ephemeral container starts."),
    **sidecars.RULES,
}
"""The causes of this family by name."""

_DELETION_S, _FINALIZERS_S = 60, 10
"""How long the deletion of a pod may take after its grace period, and that of a pod that has ended."""

_STARTING = ("", "ContainerCreating", "PodInitializing")
_OWN_READINESS = (
    "ContainersNotReady",
    "PodCompleted",
    "PodFailed",
    "ReadinessGatesNotReady",
    "UnknownContainerStatuses",
)


def find_run_problems(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find the problems of a pod that runs or has run."""
    yield from _find_kills(facts)
    yield from sidecars.find_staying_sidecars(facts)
    yield from sidecars.find_failing_sidecars(facts)
    yield from _find_repetition(facts)
    silent_node = list(_find_silent_node(facts, lookup))
    yield from silent_node
    yield from _find_stuck_deletion(facts, is_explained=bool(silent_node))
    yield from _find_debug_containers(facts)


def _find_kills(facts: Facts) -> Iterator[Cause]:
    hooks = {each.container for each in facts.select(["FailedPostStartHook"])}  # told by the family `start`
    for container in facts.state.containers:
        if container.kind == "init" or container.name in hooks or facts.state.phase == "Succeeded":
            continue
        for run in (container, find_recent_end(facts, container)):
            kill = find_kill(facts, run) if run and run.has_started and run.reason not in CANNOT_START else None
            if run and kill:
                yield _describe_kill(facts, run, kill)
                break


def _describe_kill(facts: Facts, container: ContainerState, kill: Kill) -> Cause:
    is_program = container.name == facts.program.name
    what = f'{"the program, " if is_program else ""}container "{container.name}"'
    what += f" (exit code {container.exit_code})" if container.exit_code else ""
    if kill.probe:
        field = f"{kill.probe}Probe"
        text = (
            f"The {kill.probe} probe failed{_count_failures(facts, container.name, field)}, so the kubelet has killed "
        )
        text += f"{what}{f': {sanitize(kill.detail, 300)}' if kill.detail else ''}"
        rule, fix = RULES[f"{kill.probe}-probe"], _remove_probe(facts, container.name, field)
    else:
        text = f"The kubelet has killed {what}: {sanitize(kill.signal.message, 300)}"
        rule, fix = RULES["kill-unknown"], Fix("Look at the events of the pod:", (_describe_command(facts),))
    is_failure = is_program and container.exit_code != 0
    severity: Severity = "error" if is_failure or not facts.program.has_started else "warning"
    outlook: Outlook = "final" if is_failure else "waits"
    about, is_vague = facts.pod_ref, not kill.probe
    return build_cause(rule, about, text.rstrip(". "), kill.signal, fix, outlook, is_vague=is_vague, severity=severity)


def _describe_command(facts: Facts) -> str:
    return f"kubectl -n {shlex.quote(facts.namespace)} describe pod {shlex.quote(facts.pod_ref.name)}"


def _count_failures(facts: Facts, container: str, field: str) -> str:
    probe = read_object(facts.find_container(container).get(field))
    count = read_integer(probe.get("failureThreshold")) or 3
    return "" if not probe else " once" if count == 1 else f" {count} times in a row"


def _remove_probe(facts: Facts, name: str, field: str) -> Fix:
    text = f"Remove {field} from the pod's template or pod_override, because a task needs none; or raise its "
    text += "failureThreshold and timeoutSeconds."
    return Fix(text, patch=patch_containers(facts, {name: {field: None}}))


def _find_repetition(facts: Facts) -> Iterator[Cause]:
    """Find a program that is started again after it has succeeded, so that its pod never ends."""
    former = find_recent_end(facts, facts.program)
    if former is None or former.exit_code != 0:
        return
    policy = read_text(facts.spec.get("restartPolicy")) or "Always"
    text = f"The program has succeeded, and the pod's restartPolicy {policy} starts it again"
    fix = Fix(
        "Set restartPolicy to Never in the pod's template or pod_override.", patch={"spec": {"restartPolicy": "Never"}}
    )
    signal = Signal("terminated", former.reason or "Completed", former.message, former.name)
    yield build_cause(RULES["restart-policy"], facts.pod_ref, text, signal, fix, "grace", evidence=("exit code 0",))


def _find_silent_node(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find a node that does not answer; a pod's condition Ready that has no reason of the pod's own shows it."""
    if facts.state.has_ended or not facts.program.has_started:
        return
    node, ready = read_text(facts.spec.get("nodeName")), facts.state.condition("Ready")
    is_unready = ready is not None and ready.status != "True" and ready.reason not in _OWN_READINESS
    events = facts.select(["NodeNotReady"])
    is_unknown = facts.state.phase == "Unknown" or facts.state.reason == "NodeLost"
    if not is_unknown and not (is_unready and facts.program.phase == "running"):
        return
    if not is_unknown and not events and not _is_node_silent(lookup, node):
        return
    signal = events[0] if events else Signal("status", facts.state.reason or "Unknown", facts.state.message)
    about = ObjectRef("Node", node) if node else facts.pod_ref
    text = f"The node{f' {node}' if node else ''} of the pod {facts.pod_ref.name} does not answer, so it is not known "
    text += "whether its program still runs"
    fix = Fix(
        "Wait for the node; if it does not return, start the task again, and ask the platform team to check the node.",
        who=PLATFORM_TEAM,
    )
    yield build_cause(RULES["silent-node"], about, text, signal, fix, "waits")


def _is_node_silent(lookup: Lookup, node: str) -> bool:
    found = lookup.get("Node", node).found if node else None
    conditions = read_objects(read_object(read_object(found).get("status")).get("conditions"))
    return any(each.get("type") == "Ready" and each.get("status") != "True" for each in conditions)


def _find_stuck_deletion(facts: Facts, *, is_explained: bool) -> Iterator[Cause]:
    """Find a pod that exists after the end of its grace period."""
    metadata = read_object(read_object(facts.pod).get("metadata"))
    requested_at, grace_s = facts.state.deletion_requested_at, read_integer(metadata.get("deletionGracePeriodSeconds"))
    finalizers, has_ended = sidecars.read_strings(metadata.get("finalizers")), facts.state.has_ended
    if requested_at is None or facts.is_gone or (has_ended and not finalizers):
        return
    allowed_s = _FINALIZERS_S if has_ended else _DELETION_S + (grace_s or 0)
    if (facts.now - requested_at).total_seconds() < allowed_s:
        return
    signal = Signal("status", "Terminating", f"deletion requested at {requested_at.isoformat()}")
    evidence = tuple(each.evidence for each in facts.select(["FailedKillPod", "ExceededGracePeriod"])[:2])
    name, namespace = shlex.quote(facts.state.name), shlex.quote(facts.namespace)
    if has_ended:
        text = f"The pod {facts.state.name} was deleted, but its finalizers {', '.join(finalizers)} keep it"
        command = f"kubectl -n {namespace} patch pod {name} --type merge -p " + '\'{"metadata":{"finalizers":null}}\''
        fix = Fix("Let the controller that has set them remove them; if it no longer exists:", commands=(command,))
    else:
        text = f"The pod {facts.state.name} was deleted, but its node has not confirmed that its program has ended"
        command = f"kubectl -n {namespace} delete pod {name} --force --grace-period 0"
        fix = Fix("Check its node. Only if the node will not return:", commands=(command,), who=PLATFORM_TEAM)
    yield build_cause(
        RULES["deletion-stuck"], facts.pod_ref, text, signal, fix, evidence=evidence, is_vague=is_explained
    )


def _find_debug_containers(facts: Facts) -> Iterator[Cause]:
    """Find ephemeral containers that do not start; the program does not depend on them."""
    status = read_object(read_object(facts.pod).get("status"))
    for each in read_objects(status.get("ephemeralContainerStatuses")):
        waiting, name = read_object(read_object(each.get("state")).get("waiting")), read_text(each.get("name"))
        reason, message = read_text(waiting.get("reason")), read_text(waiting.get("message"))
        if reason in _STARTING or facts.state.has_ended:
            continue
        text = f'The ephemeral container "{name}" does not start; the program does not depend on it'
        signal = Signal("waiting", reason, message, name)
        fix = Fix("Add another one, with the right image (kubectl debug).")
        yield build_cause(RULES["debug-container"], facts.pod_ref, text, signal, fix, "waits", severity="warning")
