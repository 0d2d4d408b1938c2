"""Pods that the API server refuses to create."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, build_cause
from kpo_platform.diagnosis.causes.admission import invalid_fields as admission_fields
from kpo_platform.diagnosis.causes.admission import pod_security as admission_security
from kpo_platform.diagnosis.causes.admission import quota as admission_quota
from kpo_platform.diagnosis.causes.admission.invalid_fields import describe_fields
from kpo_platform.diagnosis.causes.admission.kinds import BY_STATUS, KINDS, OF_EXTENSIONS, Kind
from kpo_platform.diagnosis.causes.admission.pod_security import describe_pod_security
from kpo_platform.diagnosis.causes.admission.quota import describe_quota
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.fixes.arguments import PATCH_ARGUMENT, find_argument
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, ObjectRef, Rule
from kpo_platform.pod.cluster_text import sanitize

RULES: dict[str, Rule] = {
    "refusal-unknown": Rule("KPO-ADM100", "The API server creates the pod."),
    **admission_quota.RULES,
    **admission_security.RULES,
    **admission_fields.RULES,
    "webhook-denied": Rule("KPO-ADM107", "The admission webhooks of the cluster accept the pod."),
    "policy-denied": Rule("KPO-ADM108", "The admission policies of the cluster accept the pod."),
    "webhook-failed": Rule("KPO-ADM109", "The admission webhooks of the cluster answer."),
    "service-account": Rule("KPO-ADM110", "The service account of the pod exists."),
    "create-right": Rule("KPO-ADM111", "The account of the task may create pods in the namespace."),
    "namespace-missing": Rule("KPO-ADM112", "The namespace of the pod exists."),
    "namespace-ending": Rule("KPO-ADM113", "The namespace of the pod is not being deleted."),
    "priority-class": Rule("KPO-ADM114", "The priority class of the pod exists, and no other field contradicts it."),
    "runtime-class": Rule("KPO-ADM115", "The runtime class of the pod exists, and no other field contradicts it."),
    "pod-exists": Rule("KPO-ADM117", "No other pod has the name of the pod."),
    "credentials": Rule("KPO-ADM118", "The API server accepts the credentials of the task."),
    "server-busy": Rule("KPO-ADM120", "The API server can handle the request."),
}
"""The causes of this family by name."""

_LONGEST = 600
_LONGEST_MESSAGE = 4096  # a webhook may say much, and patterns take time
_HTTP = "HTTP "
_WEBHOOK_SERVICE = re.compile(r"https?://([\w-]+)\.([\w-]+)\.svc\b")
_PATH = re.compile(r"\b(?:spec|metadata)[./][\w./\[\]-]+")


_RIGHT = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)"(?: in API group "[^"]*")?'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_ACCOUNT = re.compile(
    r"error looking up service account (?P<namespace>[^/\s]+)/(?P<name>[^:\s]+):.*not found", re.DOTALL
)
_NAMESPACE = re.compile(r'namespaces? "(?P<name>[^"]+)" not found|namespace (?P<other>\S+) does not exist')


def find_admission_problems(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find why the API server has refused to create a pod."""
    for signal in facts.signals:
        if signal.source == "rejection":
            message = signal.message[:_LONGEST_MESSAGE]
            yield _describe(facts, replace(signal, reason=f"{_HTTP}{signal.reason}", message=message))


def _describe(facts: Facts, signal: Signal) -> Cause:
    described = _describe_dry_run(facts, signal) or _describe_kinds(facts, signal, OF_EXTENSIONS)
    special: tuple[Callable[[Facts, Signal], Cause | None], ...] = (
        describe_pod_security,
        describe_quota,
        _describe_account,
        _describe_right,
        _describe_namespace,
    )
    for describe in special:
        described = described or describe(facts, signal)
    described = described or _describe_kinds(facts, signal, KINDS) or describe_fields(facts, signal)
    return described or _describe_status(facts, signal)


def _describe_kinds(facts: Facts, signal: Signal, kinds: tuple[Kind, ...]) -> Cause | None:
    for kind in kinds:
        if match := re.search(kind.pattern, signal.message, re.IGNORECASE | re.DOTALL):
            return build_kind(facts, signal, kind, {key: value or "" for key, value in match.groupdict().items()})
    return None


def build_kind(facts: Facts, signal: Signal, kind: Kind, groups: Mapping[str, str]) -> Cause:
    """Build the cause of a kind of refusal from the groups of its pattern."""
    message = sanitize(groups.get("message") or signal.message, _LONGEST)
    arguments = dict.fromkeys(find_argument(facts, path) for path in _PATH.findall(message))
    service = _WEBHOOK_SERVICE.search(message)
    words = {
        "namespace": facts.namespace,
        **groups,
        "message": message.rstrip("."),
        "argument": "the pod" if PATCH_ARGUMENT in arguments else " and ".join(arguments) or "the pod",
        "service": f" (Service {service[1]} in namespace {service[2]})" if service else "",
        "connection": f' "{facts.team.connection.id}"' if facts.team else "",
    }
    name = groups.get("name") or facts.namespace
    is_global = kind.about in ("Namespace", "PriorityClass", "RuntimeClass")
    about = ObjectRef(kind.about, name, "" if is_global else facts.namespace) if kind.about else facts.pod_ref
    quoted = {key: shlex.quote(value) for key, value in words.items()}
    commands = tuple(command.format(**quoted) for command in kind.commands)
    fix = Fix(kind.fix.format(**words), commands, kind.patch, kind.who)
    return build_cause(RULES[kind.name], about, kind.text.format(**words), signal, fix, kind.outlook)


def _describe_dry_run(facts: Facts, signal: Signal) -> Cause | None:
    """Describe a webhook that a dry run cannot ask: that says nothing about the pod."""
    match = re.search(r'admission webhook "([^"]+)" does not support dry run', signal.message)
    if match is None:
        return None
    text = f'The admission webhook "{match[1]}" of the cluster does not support a dry run'
    fix = Fix("Create the pod to see whether it is accepted.")
    return build_cause(
        RULES["webhook-failed"], facts.pod_ref, text, signal, fix, "waits", is_vague=True, severity="warning"
    )


def _describe_account(facts: Facts, signal: Signal) -> Cause | None:
    match = _ACCOUNT.search(signal.message)
    return describe_missing_account(facts, match["name"], match["namespace"], signal) if match else None


def describe_missing_account(facts: Facts, name: str, namespace: str, signal: Signal) -> Cause:
    """Describe a service account that does not exist."""
    text = f'The service account "{name}" does not exist in {namespace}'
    if facts.team is not None and name == facts.team.service_account.name:
        fix = Fix("The chart creates it: the platform team installs the chart again (helm upgrade).", who=PLATFORM_TEAM)
    else:
        command = f"kubectl -n {shlex.quote(namespace)} create serviceaccount {shlex.quote(name)}"
        fix = Fix("Correct or leave out service_account_name, or create the account:", (command,))
    about = ObjectRef("ServiceAccount", name, namespace)
    return build_cause(RULES["service-account"], about, text, signal, fix, "grace")


def _describe_right(facts: Facts, signal: Signal) -> Cause | None:
    """Describe a missing right of the account that the task uses in the cluster."""
    match = _RIGHT.search(signal.message)
    if match is None or match["user"] == "system:anonymous":
        return None
    user, namespace = match["user"], match["namespace"] or facts.namespace
    text = f"The account {user} cannot {match['verb']} {match['resource']} in namespace {namespace}"
    account = user.removeprefix("system:serviceaccount:")
    subject = f"--serviceaccount={account}" if account != user else f"--user={user}"
    binding = re.sub(r"[^a-z0-9.-]+", "-", f"pod-launcher-{account.rpartition(':')[2]}".lower())
    bind = f"create rolebinding {binding} --role=pod-launcher {shlex.quote(subject)}"
    fix = Fix(
        "Correct namespace; or the platform team adds it to the chart's teams or, in that of a team, binds its "
        "Role pod-launcher:",
        (f"kubectl -n {shlex.quote(namespace)} {bind}",),
        who=PLATFORM_TEAM,
    )
    about = ObjectRef("Role", "pod-launcher", namespace)
    return build_cause(RULES["create-right"], about, text, signal, fix, "grace")


def _describe_namespace(facts: Facts, signal: Signal) -> Cause | None:
    match = _NAMESPACE.search(signal.message)
    if match is None:
        return None
    name = match["name"] or match["other"]
    text = f'The namespace "{name}" does not exist'
    if facts.team is not None and name == facts.team.namespace:
        fix = Fix("The chart creates it: the platform team installs the chart again (helm upgrade).", who=PLATFORM_TEAM)
    else:
        text_of_fix = "Correct namespace; or the platform team corrects that of the Airflow connection, or creates it:"
        fix = Fix(text_of_fix, (f"kubectl create namespace {shlex.quote(name)}",), who=PLATFORM_TEAM)
    return build_cause(RULES["namespace-missing"], ObjectRef("Namespace", name), text, signal, fix, "grace")


def _describe_status(facts: Facts, signal: Signal) -> Cause:
    """Describe a refusal by its HTTP status, or else repeat its message."""
    status = signal.reason.removeprefix(_HTTP)
    kind = BY_STATUS.get(status) or (BY_STATUS.get(status[:1]) if len(status) == 3 else None)
    if kind is not None:
        return build_kind(facts, signal, kind, {})
    message = sanitize(signal.message, _LONGEST).rstrip(".") or f"HTTP status {status}"
    text = f"The API server refuses to create the pod: {message}"
    fix = Fix("Change what the message names, or ask the platform team.")
    return build_cause(RULES["refusal-unknown"], facts.pod_ref, text, signal, fix, "grace", is_vague=True)
