"""Kinds of refusals that their message, or else their HTTP status, tells."""

from __future__ import annotations

from dataclasses import dataclass

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Outlook
from kpo_platform.pod.merge import Json


@dataclass(frozen=True)
class Kind:
    """A kind of refusal: its name among the causes, the message that shows it, and the finding.

    The texts and commands may use the groups of the pattern, and ``{namespace}``.
    """

    name: str
    pattern: str
    outlook: Outlook
    text: str
    fix: str
    who: str = ""
    about: str = ""  # the kind of the object, whose name is the group `name`; by default the pod
    commands: tuple[str, ...] = ()
    patch: Json | None = None
    status: str = ""  # the HTTP status, if it matters


OF_EXTENSIONS = (
    Kind(
        "webhook-denied",
        r'admission webhook "(?P<name>[^"]+)" denied the request:?\s*(?P<message>.*)',
        "final",
        'The admission webhook "{name}" of the cluster refuses the pod: {message}',
        "Change {argument} as the message says, or ask the platform team about this rule.",
    ),
    Kind(
        "policy-denied",
        r"(?P<kind>\w+AdmissionPolicy) '(?P<name>[^']+)'(?: with binding '[^']*')? denied request: (?P<message>.*)",
        "final",
        "The {kind} {name} of the cluster refuses the pod: {message}",
        "Change {argument} as the message says, or ask the platform team about this policy.",
    ),
    Kind(
        "webhook-failed",
        r'(?:failed calling webhook|admission webhook) "(?P<name>[^"]+)"(?:: failed to call webhook)?[:;]?\s*'
        r"(?P<message>.*)",
        "waits",
        'The admission webhook "{name}" of the cluster does not answer, and without it no pod is created: {message}',
        "Start its server again{service}; if the webhook is no longer needed, delete its configuration.",
        PLATFORM_TEAM,
    ),
)
"""Refusals by webhooks and policies, whose text may contain the words of any other refusal."""

KINDS = (
    Kind(
        "namespace-ending",
        r"because it is being terminated|namespace (?P<name>\S+) is being terminated",
        "final",
        "The namespace {namespace} is being deleted, and takes no new pods",
        "Wait until it is deleted; then the platform team creates it again. Or use another namespace.",
        PLATFORM_TEAM,
        "Namespace",
    ),
    Kind(
        "priority-class",
        r"no PriorityClass with name (?P<name>\S+) was found",
        "grace",
        'The priority class "{name}" does not exist',
        "Correct priority_class_name (the team's scheduling.priorityClassName), or leave it out.",
        about="PriorityClass",
        patch={"spec": {"priorityClassName": None}},
    ),
    Kind(
        "priority-class",
        r"(?:integer value of priority|string value of PreemptionPolicy) \((?P<value>[^)]*)\) must not be provided",
        "final",
        "The pod sets a priority or preemption policy ({value}) other than that of its priority class",
        "Leave out priority and preemptionPolicy, and set priority_class_name only.",
        patch={"spec": {"priority": None, "preemptionPolicy": None}},
    ),
    Kind(
        "runtime-class",
        r'RuntimeClass "(?P<name>[^"]+)" not found',
        "grace",
        'The runtime class "{name}" does not exist',
        "Correct runtime_class_name, or leave it out.",
        about="RuntimeClass",
        patch={"spec": {"runtimeClassName": None}},
    ),
    Kind(
        "runtime-class",
        r"(?P<message>Pod's Overhead .*|Pod Overhead .*|conflict: runtimeClass\.scheduling.*)",
        "final",
        "The pod contradicts its runtime class: {message}",
        "Leave out overhead, and the entries of node_selector that the message names.",
        patch={"spec": {"overhead": None}},
    ),
    Kind(
        "pod-exists",
        r"object is being deleted|not able to generate a unique name",
        "waits",
        "Another pod has the name of the pod, and is being deleted",
        "Try again when it is gone, or leave out random_name_suffix=False.",
    ),
    Kind(
        "pod-exists",
        r'pods "(?P<name>[^"]+)" already exists',
        "final",
        'A pod with the name "{name}" exists already in {namespace}',
        "Leave out random_name_suffix=False, or delete the other pod:",
        commands=("kubectl -n {namespace} delete pod {name}",),
    ),
    Kind(
        "credentials",
        r"system:anonymous",
        "grace",
        "The API server gets no valid credentials from the task",
        "Correct the credentials of the Airflow connection{connection}.",
        PLATFORM_TEAM,
    ),
    Kind(
        "server-busy",
        r"object has been modified|Operation cannot be fulfilled|quota evaluation timed out|not yet ready to handle|"
        r"please try again|too many requests|etcdserver: (?!request is too large)",
        "waits",
        "The API server cannot handle the request now: {message}",
        "Try again; if it lasts, the platform team checks the API server.",
        PLATFORM_TEAM,
    ),
)
"""Refusals by the API server itself."""

BY_STATUS = {
    "401": Kind(
        "credentials",
        "",
        "grace",
        "The API server rejects the credentials of the task: they are invalid or have expired",
        "Renew the credentials of the Airflow connection{connection}.",
        PLATFORM_TEAM,
    ),
    "429": KINDS[-1],
    "5": KINDS[-1],
}
"""Refusals by HTTP status, or by its first digit."""
