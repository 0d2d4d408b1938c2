"""Pods that the API server does not create."""

from __future__ import annotations

from functools import partial

from benchmarks.fault_scores.catalogue.policies import build_policy, build_webhook
from benchmarks.fault_scores.catalogue.volumes import build_quota
from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import PLATFORM_TEAM, Access, Build, Engine, Expected, Fault, Json, Place
from benchmarks.fault_scores.hosts import WEBHOOK

_TASKS: tuple[Engine, ...] = ("team", "stock")
"""A refused pod does not exist, so `platformctl diagnose POD` cannot be asked about it."""

_OWN = Place(is_own=True)
_ABSENT = r"not exist|not found|no .* with name|missing"


def full_quota(draw: Draw) -> Fault:
    """A quota for pods that another pod uses up."""
    quota = build_quota(draw.name(), {"pods": "1"})
    holder = _build_holder(draw.name())
    words = (quota["metadata"]["name"], r"pods", r"quota")
    about = f"ResourceQuota {quota['metadata']['name']}"
    expected = Expected(("KPO-ADM101",), words, about, "quota", who="*")
    return _refuse("quota-full", expected, objects=(holder, quota), commands=_count(quota), place=_OWN)


def small_quota(draw: Draw, resource: str, hard: str) -> Fault:
    """A quota that is smaller than the pod."""
    quota = build_quota(draw.name(), {resource: hard})
    words = (quota["metadata"]["name"], resource, r"quota")
    about = f"ResourceQuota {quota['metadata']['name']}"
    expected = Expected(("KPO-ADM102",), words, about, "size|at most|less", is_healable=True)
    return _refuse(f"quota-{resource}", expected, objects=(quota,), commands=_count(quota), place=_OWN)


def limit_range(draw: Draw, resource: str, most: str) -> Fault:
    """A LimitRange whose maximum is below the limit of the pod."""
    name = draw.name()
    item = {"type": "Container", "max": {resource: most}}
    limits = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": name}, "spec": {"limits": [item]}}
    words = (rf"maximum {resource}|{resource}.*(at most|above|more than|maximum|limit)",)
    expected = Expected(("KPO-ADM105",), words, advice="at most|container_resources|limit", is_healable=True)
    return _refuse(f"limit-{resource}", expected, objects=(limits,), place=_OWN)


def raised_level(draw: Draw, field: str) -> Fault:
    """A field that the Pod Security level of the namespace forbids; the team's level is lower."""
    contexts: dict[str, Json] = {
        "allowPrivilegeEscalation": {"allowPrivilegeEscalation": True},
        "capabilities": {"capabilities": {"drop": None, "add": [draw.choice(["CHOWN", "SETUID", "FOWNER", "KILL"])]}},
    }
    expected = Expected(("KPO-ADM106",), (r"PodSecurity|Pod Security", field), advice=field, is_healable=True)
    place = Place({"podSecurity": "baseline"}, is_own=True, level="restricted")
    return _refuse(f"security-{field}", expected, container={"securityContext": contexts[field]}, place=place)


def root_user(draw: Draw) -> Fault:
    """A pod that may run as root."""
    spec: Json = {"securityContext": {"runAsNonRoot": False, "runAsUser": None}}
    expected = Expected(
        ("KPO-ADM106",), (r"PodSecurity|Pod Security", "runAsNonRoot"), advice="runAsNonRoot", is_healable=True
    )
    place = Place({"podSecurity": "baseline"}, is_own=True, level="restricted")
    return _refuse("security-root", expected, spec, place=place)


def denied_by_webhook(draw: Draw) -> Fault:
    """A webhook that denies the pod."""
    name, reason = f"{draw.name()}.example.com", draw.name()
    expected = Expected(("KPO-ADM107",), (name, reason), advice="message|says")
    webhook = build_webhook(name, {"url": f"https://{WEBHOOK}/{reason}"}, with_authority=True)
    return _refuse("webhook-denies", expected, objects=(webhook,), place=_OWN)


def silent_webhook(draw: Draw) -> Fault:
    """A webhook whose Service has no pods."""
    name = f"{draw.name()}.example.com"
    service = draw.name()
    port = {"port": 443}
    objects: tuple[Json, ...] = (
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": service}, "spec": {"ports": [port]}},
        build_webhook(name, {"service": {"name": service, "namespace": "{namespace}", "path": "/"}}),
    )
    expected = Expected(("KPO-ADM109",), (name, r"webhook"), advice="webhook", who=PLATFORM_TEAM)
    return _refuse("webhook-silent", expected, objects=objects, place=_OWN)


def denied_by_policy(draw: Draw) -> Fault:
    """A ValidatingAdmissionPolicy that denies the pod."""
    name, label = draw.name(), f"example.com/{draw.name()}"
    expected = Expected(("KPO-ADM108",), (name, label), advice="message|says")
    active = (("wait", "--for=jsonpath={.status.observedGeneration}", f"validatingadmissionpolicy/{name}"),)
    objects = build_policy(name, f"'{label}' in object.metadata.?labels.orValue({{}})", f"label {label} is required")
    return _refuse("policy-denies", expected, objects=objects, place=_OWN, commands=active)


def missing_account(_: Draw) -> Fault:
    """The service account of the team's pods is deleted."""
    words = (r"service ?account", "team-pod", _ABSENT)
    expected = Expected(("KPO-ADM110",), words, "ServiceAccount team-pod", "chart|account", PLATFORM_TEAM)
    spec = {"serviceAccountName": "team-pod"}
    return _refuse("account", expected, spec, place=_OWN, commands=(("delete", "serviceaccount", "team-pod"),))


def missing_right(_: Draw) -> Fault:
    """The rights of Airflow in the namespace are gone."""
    words = (r"cannot create|may not create|right", r"\{namespace\}")
    expected = Expected(("KPO-ADM111",), words, "Role pod-launcher", "bind|Role", PLATFORM_TEAM, True)
    return _refuse("right", expected, place=_OWN, commands=(("delete", "rolebindings", "--all"),))


def missing_namespace(_: Draw) -> Fault:
    """The namespace is deleted."""
    words = (r"\{namespace\}", _ABSENT)
    expected = Expected(("KPO-ADM112",), words, "Namespace {namespace}", "chart|namespace", PLATFORM_TEAM)
    commands = (("delete", "namespace", "{namespace}", "--wait"),)
    return _refuse("namespace", expected, place=_OWN, commands=commands, access="wide")


def leaving_namespace(draw: Draw) -> Fault:
    """The namespace is being deleted."""
    held = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": draw.name(), "finalizers": ["example.com/hold"]},
    }
    words = (r"\{namespace\}", r"being (deleted|terminated)|terminating")
    expected = Expected(("KPO-ADM113",), words, "Namespace {namespace}", "namespace|wait", PLATFORM_TEAM)
    commands = (("delete", "namespace", "{namespace}", "--wait=false"),)
    return _refuse("namespace-deleted", expected, objects=(held,), place=_OWN, commands=commands, access="wide")


def missing_priority(draw: Draw) -> Fault:
    """A priority class that does not exist."""
    name = draw.name()
    expected = Expected(
        ("KPO-ADM114",), (name, r"priority ?class"), f"PriorityClass {name}", "priority_class_name", is_healable=True
    )
    return _refuse("priority-class", expected, {"priorityClassName": name})


def missing_runtime(draw: Draw) -> Fault:
    """A runtime class that does not exist."""
    name = draw.name()
    expected = Expected(
        ("KPO-ADM115",), (name, r"runtime ?class"), f"RuntimeClass {name}", "runtime_class_name", is_healable=True
    )
    return _refuse("runtime-class", expected, {"runtimeClassName": name})


def request_above_limit(draw: Draw) -> Fault:
    """A request that is larger than its limit."""
    request, limit = draw.randint(100, 200), draw.randint(50, 90)
    resources = {"requests": {"memory": f"{request}Mi"}, "limits": {"memory": f"{limit}Mi"}}
    words = (r"requests?", f"{request}Mi|{limit}Mi")
    expected = Expected(("KPO-ADM116",), words, advice="request|limit", is_healable=True)
    return _refuse("field-request", expected, container={"resources": resources})


def invalid_field(draw: Draw) -> Fault:
    """A value that Kubernetes does not accept."""
    policy = draw.name().title()
    expected = Expected(("KPO-ADM116",), (policy, r"imagePullPolicy|image_pull_policy"), advice="image_?pull_?policy")
    return _refuse("field-policy", expected, container={"imagePullPolicy": policy})


def used_name(draw: Draw) -> Fault:
    """A pod with the same name."""
    name = draw.name()
    holder = _build_holder(name)
    expected = Expected(("KPO-ADM117",), (name, r"exists"), advice="name", is_healable=True)
    arguments = {"random_name_suffix": False}
    return _refuse("name", expected, objects=(holder,), name_of_pod=name, arguments=arguments)


def rejected_token(_: Draw) -> Fault:
    """A connection with a token that the cluster does not accept."""
    words = (r"401|unauthorized|credentials",)
    expected = Expected(("KPO-ADM118",), words, "*", "credentials|connection", PLATFORM_TEAM)
    return _refuse("credentials", expected, access="invalid")


def too_large(draw: Draw) -> Fault:
    """Arguments that are larger than what the API server accepts."""
    argument = draw.choice("abcdef") * draw.randint(3_500_000, 4_500_000)
    words = (r"large|too big|limit is|413",)
    expected = Expected(("KPO-ADM119",), words, advice="volume|object storage")
    return _refuse("size", expected, container={"args": [argument]})


def _refuse(
    name: str,
    expected: Expected,
    spec: Json | None = None,
    container: Json | None = None,
    place: Place | None = None,
    objects: tuple[Json, ...] = (),
    commands: tuple[tuple[str, ...], ...] = (),
    arguments: Json | None = None,
    access: Access = "team",
    name_of_pod: str = "",
) -> Fault:
    return Fault(
        name,
        expected,
        spec or {},
        container or {},
        place or Place(),
        objects,
        commands,
        arguments or {},
        _TASKS,
        access=access,
        name_of_pod=name_of_pod,
    )


def _count(quota: Json) -> tuple[tuple[str, ...], ...]:
    """Wait until Kubernetes has counted what is used of a quota."""
    name = quota["metadata"]["name"]
    (resource,) = quota["spec"]["hard"]
    path = "{.status.used." + resource.replace(".", "\\.") + "}"
    return (("wait", f"--for=jsonpath={path}", f"resourcequota/{name}", "--timeout=30s"),)


def _build_holder(name: str) -> Json:
    pod = Fault("", Expected((), ()), container={"command": ["sleep", "3000"]}).build_pod()
    return {**pod, "metadata": {"name": name}}


FAULTS: tuple[Build, ...] = (
    full_quota,
    partial(small_quota, resource="limits.memory", hard="32Mi"),
    partial(small_quota, resource="requests.cpu", hard="2m"),
    partial(limit_range, resource="memory", most="48Mi"),
    partial(limit_range, resource="cpu", most="300m"),
    partial(raised_level, field="allowPrivilegeEscalation"),
    partial(raised_level, field="capabilities"),
    *(root_user, denied_by_webhook, silent_webhook, denied_by_policy, missing_account, missing_right),
    *(missing_namespace, leaving_namespace, missing_priority, missing_runtime, request_above_limit),
    *(invalid_field, used_name, rejected_token, too_large),
)
"""The kinds of this family."""
