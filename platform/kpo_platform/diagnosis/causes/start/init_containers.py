"""Init containers and native sidecars that keep the program from starting."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Set
from datetime import timedelta

from kpo_platform.diagnosis.cause import Cause, build_cause
from kpo_platform.diagnosis.causes.run.probe_kill import CRASH_LOOP, find_kill
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.fixes.amounts import patch_containers
from kpo_platform.diagnosis.fixes.sizes import build_fix, read_limit
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, Rule
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.disruption import find_termination
from kpo_platform.pod.state import CANNOT_START, ContainerState

RULES: dict[str, Rule] = {
    "init-failure": Rule("KPO-STA126", "The init containers of the pod end with exit code 0."),
    "init-memory": Rule("KPO-STA127", "The init containers need no more memory than their limits."),
    "init-duration": Rule("KPO-STA128", "The init containers end within five minutes."),
    "sidecar-crash": Rule("KPO-STA129", "The sidecars run when the program starts."),
    "sidecar-startup": Rule("KPO-STA130", "The sidecars pass their startup probes within a minute."),
}
"""The causes of this module by name."""

_LONG, _STARTUP = timedelta(minutes=5), timedelta(minutes=1)


def find_init_problems(facts: Facts, told: Set[str]) -> Iterator[Cause]:
    """Find which container keeps the program from starting.

    Args:
        facts: what is known about the pod.
        told: the containers about which another cause is told.
    """
    if facts.program.has_started or facts.state.phase == "Succeeded":
        return
    termination = find_termination(facts.state)
    for container in facts.state.containers:
        if container.name in told or container.name == facts.program.name or container.is_lost:
            continue
        former = facts.former_state.container(container.name)
        is_crashing = container.reason == CRASH_LOOP
        ended = former if is_crashing and former.is_terminated else container
        if (container.is_terminated or is_crashing) and ended.reason not in CANNOT_START and ended.exit_code != 0:
            is_stopped = termination is not None and termination.ended(ended)
            if not is_stopped and (container.kind == "init" or is_crashing):
                yield _describe_failure(facts, ended, container)
        elif container.kind != "main" and container.phase == "running":
            yield from _check_running(facts, container)


def _describe_failure(facts: Facts, ended: ContainerState, container: ContainerState) -> Cause:
    is_init, name = container.kind == "init", container.name
    subject = f'Init container "{name}"' if is_init else f'Sidecar "{name}"'
    signal = Signal("terminated", ended.reason or container.reason, ended.message, name)
    if ended.reason == "OOMKilled":
        limit = read_limit(facts, name, "memory")
        text = f"{subject} ran out of memory{f' at its limit of {limit}' if limit else ''}"
        fix = build_fix(facts, name, "memory")
        return build_cause(RULES["init-memory"], facts.pod_ref, f"{text}, so the program did not start", signal, fix)
    again = " again and again" if container.reason == CRASH_LOOP else ""
    code = f" with exit code {ended.exit_code}" if ended.exit_code is not None else ""
    text = f"{subject} failed{again}{code}, so the program {'does' if again else 'did'} not start"
    text += f": {sanitize(ended.message, 300)}".rstrip(". ") if ended.message else ""
    log = f"{_build_log_command(facts, name)}{' --previous' if again else ''}"
    fix = Fix(f"Correct {'init_containers' if is_init else 'the sidecar'}; its log tells more:", (log,))
    rule = RULES["init-failure" if is_init else "sidecar-crash"]
    return build_cause(rule, facts.pod_ref, text, signal, fix, "grace" if again else "final")


def _check_running(facts: Facts, container: ContainerState) -> Iterator[Cause]:
    """Describe an init container that runs for long, or a sidecar that does not pass its startup probe."""
    since = facts.now - container.started_at if container.started_at else timedelta()
    name = container.name
    if container.kind == "init" and since >= _LONG:
        text = (
            f'Init container "{name}" has run for {int(since.total_seconds() // 60)} min, and the program waits for it'
        )
        fix = Fix("If it waits for something, its log may tell for what:", (_build_log_command(facts, name),))
        signal = Signal("status", "PodInitializing", "", name)
        yield build_cause(RULES["init-duration"], facts.pod_ref, text, signal, fix, "waits", is_vague=True)
    probes = (
        each
        for each in facts.select(["Unhealthy"])
        if each.container == name and each.message.lower().startswith("startup probe")
    )
    probe = next(probes, None)
    if container.kind == "sidecar" and probe and since >= _STARTUP and find_kill(facts, container) is None:
        text = f'Sidecar "{name}" does not pass its startup probe, and the program waits for it: '
        text += sanitize(probe.message, 300)
        fix = Fix(
            "Correct the sidecar or its startupProbe.",
            patch=patch_containers(facts, {name: {"startupProbe": None}}),
        )
        yield build_cause(RULES["sidecar-startup"], facts.pod_ref, text, probe, fix, "waits")


def _build_log_command(facts: Facts, container: str) -> str:
    namespace, pod = shlex.quote(facts.namespace), shlex.quote(facts.state.name)
    return f"kubectl -n {namespace} logs {pod} -c {shlex.quote(container)}"
