"""Images that cannot be pulled."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kpo_platform.diagnosis.cause import PLATFORM_TEAM, Cause, build_cause
from kpo_platform.diagnosis.causes.message_kind import MessageKind, find_kind
from kpo_platform.diagnosis.facts import Facts, Lookup
from kpo_platform.diagnosis.signals import Signal
from kpo_platform.finding import Fix, ObjectRef, Rule, Severity
from kpo_platform.pod.images import has_registry_host
from kpo_platform.pod.json_fields import read_objects, read_text

RULES: dict[str, Rule] = {
    "image-unknown": Rule("KPO-IMG100", "The node can pull the image."),
    "image-name": Rule("KPO-IMG101", "The name of the image is valid."),
    "image-never": Rule("KPO-IMG102", "The image is on the node if the pull policy is Never."),
    "image-missing": Rule("KPO-IMG103", "The registry has the image."),
    "image-login": Rule("KPO-IMG104", "The pod has a login for the image's registry."),
    "image-secret": Rule("KPO-IMG105", "The pull secrets of the pod exist."),
    "image-credentials": Rule("KPO-IMG106", "The registry accepts the login of the pull secret."),
    "image-access": Rule("KPO-IMG107", "The login may pull the image."),
    "registry-limit": Rule("KPO-IMG108", "The registry's rate limit is not reached."),
    "registry-error": Rule("KPO-IMG109", "The registry answers without errors."),
    "registry-silent": Rule("KPO-IMG110", "The node can connect to the registry."),
    "registry-host": Rule("KPO-IMG111", "The name of the registry can be resolved."),
    "registry-certificate": Rule("KPO-IMG112", "The node trusts the registry's certificate."),
    "registry-http": Rule("KPO-IMG113", "The registry speaks HTTPS."),
    "image-platform": Rule("KPO-IMG114", "The image is built for the node's processor."),
    "image-disk": Rule("KPO-IMG115", "The node has room for the image."),
    "image-signature": Rule("KPO-IMG116", "The image has the signature that the node requires."),
}
"""The causes of this family by name."""

_PULL_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"})
_SECRET_EVENT = "FailedToRetrieveImagePullSecret"
_DEFAULT_HOST = "docker.io"


_KINDS = (
    MessageKind(
        "image-name",
        r"invalid reference format|failed to parse image reference|couldn't parse image",
        "final",
        'The image name "{image}" is not valid',
        "Correct image: registry/repository:tag, in lower case, such as registry.example.com/team/job:1.2.",
    ),
    MessageKind(
        "registry-certificate",
        r"x509:|tls: failed to verify|certificate (signed by|has expired|is valid for)",
        "final",
        "The node does not trust the certificate of registry {host}",
        "Give the registry a certificate that the nodes trust, or add its authority to the nodes' container runtime.",
        PLATFORM_TEAM,
    ),
    MessageKind(
        "registry-http",
        r"server gave HTTP response to HTTPS client|first record does not look like a TLS handshake",
        "final",
        "Registry {host} answers with HTTP, and the node requires HTTPS",
        "Serve the registry over HTTPS, or configure it as an insecure registry in the nodes' container runtime.",
        PLATFORM_TEAM,
    ),
    MessageKind(
        "registry-host",
        r"no such host|Name or service not known",
        "grace",
        "The node cannot resolve the name of registry {host}",
        "Correct the registry in the name of the image; if it is right, the platform team checks the DNS of the nodes.",
    ),
    MessageKind(
        "registry-host",
        r"\blookup \S+|Temporary failure in name resolution",
        "waits",
        "The node cannot resolve the name of registry {host}: its DNS does not answer",
        "The node tries again. If it lasts, the platform team checks the DNS of the nodes.",
        PLATFORM_TEAM,
    ),
    MessageKind(
        "registry-limit",
        r"\b429\b|too ?many ?requests|rate limit",
        "waits",
        "Registry {host} limits the rate of pulls",
        "The node tries again. If it lasts, the platform team provides a mirror, or a login with a higher limit.",
        PLATFORM_TEAM,
    ),
    MessageKind(
        "image-platform",
        r"no match for platform|no matching manifest for|does not match the specified platform",
        "final",
        "The image {image} is not built for the processor of the node",
        "Build it for this platform too, for example with docker buildx build --platform linux/amd64,linux/arm64, or "
        "select nodes of its platform with node_selector.",
    ),
    MessageKind(
        "image-disk",
        r"no space left on device|disk quota exceeded",
        "waits",
        "The node has no room for the image {image}",
        "Free space on the disk of the node, or use a smaller image.",
        PLATFORM_TEAM,
    ),
    MessageKind(
        "image-signature",
        r"SignatureValidationFailed|signature (validation|verification) failed|no signature",
        "final",
        "The node refuses the image {image}: it lacks a valid signature",
        "Sign it as the policy of the nodes requires; the platform team knows the policy.",
    ),
    MessageKind(
        "image-missing",
        r"manifest unknown|name unknown|NAME_UNKNOWN|MANIFEST_UNKNOWN|: not found|\b404\b|repository .* not found",
        "final",
        "The image {image} does not exist in registry {host}",
        "Correct its name or tag, or push it.",
    ),
    MessageKind(
        "registry-error",
        r"\b5\d\d (Internal Server Error|Bad Gateway|Service Unavailable|Gateway Time-?out)|"
        r"unexpected status.*\b5\d\d\b|RegistryUnavailable",
        "waits",
        "Registry {host} answers with an error",
        "The node tries again. If it lasts, the platform team checks the registry.",
        PLATFORM_TEAM,
    ),
    MessageKind(
        "registry-silent",
        r"i/o timeout|deadline exceeded|handshake timeout|connection refused|connection reset|no route to host|"
        r"network is unreachable|Client\.Timeout|unexpected EOF|: EOF\b|dial tcp",
        "waits",
        "The node gets no answer from registry {host}",
        "The node tries again. The platform team checks that the registry runs and that the nodes can connect to it.",
        PLATFORM_TEAM,
    ),
)
"""Texts are those of containerd and CRI-O, which pass on what the registry's client library says."""
_DENIED = re.compile(
    r"\b401\b|unauthorized|pull access denied|authorization failed|insufficient_scope|no basic auth credentials|"
    r"authentication required|failed to fetch (anonymous|oauth) token",
    re.IGNORECASE,
)
_FORBIDDEN = re.compile(r"\b403\b|forbidden", re.IGNORECASE)


def find_image_problems(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find why the images of a pod cannot be pulled, each container's once."""
    told: set[str] = set()
    for signal in facts.signals:
        is_pull = signal.reason in _PULL_REASONS or (signal.source == "event" and _is_failed_pull(signal))
        name = signal.container
        if name in told or facts.state.container(name).has_started:
            continue
        if signal.reason in ("InvalidImageName", "ErrImageNeverPull"):
            told.add(name)
            yield _describe_static(facts, signal)
        elif is_pull and (signal.source == "waiting" or name):
            told.add(name)
            yield _describe_pull(facts, lookup, _add_detail(facts, signal))


def check_pull_secrets(facts: Facts, lookup: Lookup) -> Iterator[Cause]:
    """Find the pull secrets of a planned pod that do not exist; an image that needs no login is pulled nevertheless."""
    for each in read_objects(facts.spec.get("imagePullSecrets")):
        name = read_text(each.get("name"))
        if name and lookup.get("Secret", name, facts.namespace).is_absent:
            signal = Signal("spec", "", f'imagePullSecrets refers to "{name}"')
            hosts = {parse_host(read_text(container.get("image"))) for container in facts.list_containers()}
            registry = _name_login(" and ".join(sorted(hosts)))
            yield _describe_missing_secret(facts, name, registry, signal, severity="warning")


def parse_host(image: str) -> str:
    """Return the registry of an image."""
    return image.partition("/")[0] if has_registry_host(image) else _DEFAULT_HOST


def _is_failed_pull(signal: Signal) -> bool:
    return signal.reason == "Failed" and signal.message.startswith("Failed to pull image")


def _add_detail(facts: Facts, signal: Signal) -> Signal:
    """Take the last event of a failed pull if the status only says that the node waits before the next one."""
    if "ErrImagePull" in signal.reason or ":" in signal.message.partition('"')[2].partition('"')[2]:
        return signal
    failed = (each for each in facts.signals if _is_failed_pull(each) and each.container in ("", signal.container))
    return next(failed, signal)


def _describe_static(facts: Facts, signal: Signal) -> Cause:
    image = _read_image(facts, signal)
    if signal.reason == "InvalidImageName":
        text, rule = f'The image name "{image}" is not valid', RULES["image-name"]
        fix = Fix(_KINDS[0].fix)
    else:
        text, rule = f"The image {image} is not on the node, and its pull policy is Never", RULES["image-never"]
        fix = Fix(
            'Set image_pull_policy="IfNotPresent".',
            patch={"spec": {"containers": [{"name": signal.container, "imagePullPolicy": "IfNotPresent"}]}},
        )
    return build_cause(rule, facts.pod_ref, text, signal, fix)


def _describe_pull(facts: Facts, lookup: Lookup, signal: Signal) -> Cause:
    image = _read_image(facts, signal)
    host = parse_host(image)
    kind, _ = find_kind(_KINDS, signal.message)
    is_denied = _DENIED.search(signal.message)
    if is_denied and (kind is None or kind.name in ("image-missing", "registry-silent")):
        return _describe_denial(facts, lookup, signal, image)
    if kind is not None:
        text, fix = kind.text.format(image=image, host=host), Fix(kind.fix, who=kind.who)
        return build_cause(RULES[kind.name], facts.pod_ref, text, signal, fix, kind.outlook)
    if _FORBIDDEN.search(signal.message):
        text = f"Registry {host} does not let the pod pull the image {image}"
        fix = Fix("Give the account of the pull secret the right to pull it from the registry.", who=PLATFORM_TEAM)
        return build_cause(RULES["image-access"], facts.pod_ref, text, signal, fix)
    text = f"The image {image} cannot be pulled{f': {signal.message}' if signal.message else ''}"
    fix = Fix("Correct image, or ask the platform team about its registry.")
    return build_cause(RULES["image-unknown"], facts.pod_ref, text, signal, fix, "grace", is_vague=True)


def _describe_denial(facts: Facts, lookup: Lookup, signal: Signal, image: str) -> Cause:
    """Tell a missing login, a missing pull secret and a rejected one apart."""
    host, namespace = parse_host(image), facts.namespace
    names = [read_text(each.get("name")) for each in read_objects(facts.spec.get("imagePullSecrets"))]
    registry = _name_login(host)
    if not names:
        text = f"Registry {host} requires a login for the image {image}, and the pod has no pull secret"
        fix = (
            "Correct the name of the image; if it is right, the platform team sets registry.host of the team to "
            f"{host} and runs platformctl bootstrap {registry}."
        )
        return build_cause(RULES["image-login"], facts.pod_ref, text, signal, Fix(fix, who=PLATFORM_TEAM))
    events = facts.select([_SECRET_EVENT])
    for name in names:
        if any(name in event.message for event in events) or lookup.get("Secret", name, namespace).is_absent:
            return _describe_missing_secret(facts, name, registry, signal, tuple(event.evidence for event in events))
    secret = ObjectRef("Secret", names[0], namespace)  # registries deny what does not exist, too
    text = (
        f'Registry {host} rejects the login of the pull secret "{names[0]}" for the image {image}, or has no such image'
    )
    fix = f"Correct the name of the image; if it is right, the platform team runs platformctl bootstrap {registry}."
    return build_cause(RULES["image-credentials"], secret, text, signal, Fix(fix, who=PLATFORM_TEAM))


def _describe_missing_secret(
    facts: Facts, name: str, registry: str, signal: Signal, evidence: tuple[str, ...] = (), severity: Severity = "error"
) -> Cause:
    text = f'The pull secret "{name}" does not exist in {facts.namespace}'
    text_of_fix = "Correct its name in image_pull_secrets or remove it; or the platform team creates it with "
    fix = Fix(f"{text_of_fix}platformctl bootstrap {registry}.", who=PLATFORM_TEAM)
    rule, secret = RULES["image-secret"], ObjectRef("Secret", name, facts.namespace)
    return build_cause(rule, secret, text, signal, fix, "grace", evidence=evidence, severity=severity)


def _name_login(host: str) -> str:
    return f"--registry-config FILE, with FILE as written by docker login {host}"


def _read_image(facts: Facts, signal: Signal) -> str:
    image = read_text(facts.find_container(signal.container).get("image"))
    quoted = re.search(r'image "([^"]+)"', signal.message)
    return image or (quoted[1] if quoted else "of the pod")
