"""Images that cannot be pulled: each cause is told apart by the words of the container runtime."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.need import Need
from unit.support.diagnosis import IMAGE, NAMESPACE, answer, build_event, build_pod, find_causes, wait_for

POD = f"Pod {NAMESPACE}/report"
RESOLVE = f'failed to pull and unpack image "{IMAGE}": failed to resolve reference "{IMAGE}": '
HEAD = f'{RESOLVE}failed to do request: Head "https://registry.test/v2/job/manifests/1": '
SECRET = {"imagePullSecrets": [{"name": "regcred"}]}


def pull(message: str, spec: dict[str, Any] | None = None, reason: str = "ErrImagePull") -> Facts:
    return Facts(pod=build_pod(spec, containerStatuses=[wait_for(reason, message)]))


def test_sentence_says_who_acts_if_it_is_not_the_author():
    assert str(diagnose(pull("x509: certificate signed by unknown authority")).causes[0]) == (
        "The node does not trust the certificate of registry registry.test (ErrImagePull). For the platform team: Give "
        "the registry a certificate that the nodes trust, or add its authority to the nodes' container runtime. "
        "[KPO-IMG112: docs/troubleshooting.md#kpo-img112]"
    )


@pytest.mark.parametrize(
    ("message", "code", "outlook", "text"),
    [
        (f"{RESOLVE}{IMAGE}: not found", "KPO-IMG103", "final", f"The image {IMAGE} does not exist in registry "),
        (f"{RESOLVE}manifest unknown", "KPO-IMG103", "final", f"The image {IMAGE} does not exist in registry "),
        (f"{RESOLVE}unexpected status from HEAD request: 403 Forbidden", "KPO-IMG107", "final", "Registry "),
        (f"{RESOLVE}429 Too Many Requests - toomanyrequests", "KPO-IMG108", "waits", "Registry "),
        (f"{RESOLVE}unexpected status code [manifests 1]: 503 Service Unavailable", "KPO-IMG109", "waits", "Registry "),
        (f"{HEAD}dial tcp 10.0.0.1:443: connect: connection refused", "KPO-IMG110", "waits", "The node gets no answer"),
        (f"{HEAD}dial tcp 10.0.0.1:443: i/o timeout", "KPO-IMG110", "waits", "The node gets no answer"),
        (
            f"{HEAD}dial tcp: lookup registry.test on 10.0.0.2:53: no such host",
            "KPO-IMG111",
            "grace",
            "The node cannot",
        ),
        (f"{HEAD}dial tcp: lookup registry.test on 10.0.0.2:53: server misbehaving", "KPO-IMG111", "waits", "The node"),
        (f"{HEAD}dial tcp: lookup r on 10.0.0.2:53: dial udp: invalid argument", "KPO-IMG111", "waits", "The node"),
        (f"{HEAD}tls: failed to verify certificate: x509: certificate signed by unknown", "KPO-IMG112", "final", "The"),
        (f"{HEAD}http: server gave HTTP response to HTTPS client", "KPO-IMG113", "final", "Registry registry.test an"),
        ("no match for platform in manifest sha256:0: not found", "KPO-IMG114", "final", "The image"),
        ("failed to extract layer: no space left on device", "KPO-IMG115", "waits", "The node has no room"),
        (
            f'failed to parse image reference "{IMAGE}": invalid reference format: repository name must be lowercase',
            "KPO-IMG101",
            "final",
            f'The image name "{IMAGE}" is not valid',
        ),
        ("something new", "KPO-IMG100", "grace", f"The image {IMAGE} cannot be pulled: something new"),
    ],
)
def test_failed_pull_is_told_by_its_message(message: str, code: str, outlook: str, text: str):
    ((found_code, found_outlook, about, cause),) = find_causes(pull(message))
    assert (found_code, found_outlook, about) == (code, outlook, POD)
    assert cause.startswith(text)


def test_detail_of_a_pull_comes_from_its_event_when_the_status_only_waits():
    event = build_event("Failed", f'Failed to pull image "{IMAGE}": {RESOLVE}{IMAGE}: not found', "base")
    pod = build_pod(containerStatuses=[wait_for("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')])
    assert [cause[0] for cause in find_causes(Facts(pod=pod, events=(event,)))] == ["KPO-IMG103"]


DENIED = f"{RESOLVE}unexpected status from HEAD request: 401 Unauthorized"


def test_denied_pull_without_a_pull_secret_needs_one():
    assert find_causes(pull(DENIED)) == [
        (
            "KPO-IMG104",
            "final",
            POD,
            f"Registry registry.test requires a login for the image {IMAGE}, and the pod has no pull secret",
        )
    ]


@pytest.mark.parametrize(
    ("events", "answers"),
    [
        (
            (
                build_event(
                    "FailedToRetrieveImagePullSecret", "Unable to retrieve some image pull secrets (regcred); …"
                ),
            ),
            {},
        ),
        ((), {Need("Secret", NAMESPACE, "regcred"): answer()}),
    ],
)
def test_denied_pull_names_the_pull_secret_that_does_not_exist(events: tuple[Any, ...], answers: dict[Need, Any]):
    facts = Facts(pod=pull(DENIED, SECRET).pod, events=events)
    assert find_causes(facts, answers) == [
        ("KPO-IMG105", "grace", "Secret team-alpha/regcred", 'The pull secret "regcred" does not exist in team-alpha')
    ]


def test_denied_pull_with_an_existing_pull_secret_is_a_rejected_login():
    answers = {Need("Secret", NAMESPACE, "regcred"): answer({"metadata": {"name": "regcred"}})}
    assert [cause[:3] for cause in find_causes(pull(DENIED, SECRET), answers)] == [
        ("KPO-IMG106", "final", "Secret team-alpha/regcred")
    ]


def test_unread_pull_secret_is_asked_for_and_then_named_as_not_looked_at():
    need = Need("Secret", NAMESPACE, "regcred")
    assert diagnose(pull(DENIED, SECRET)).missing == (need,)
    refused = diagnose(pull(DENIED, SECRET), {need: answer(refusal="HTTP 403")})
    assert (refused.missing, refused.could_not_look) == ((), ("Secret regcred in team-alpha: HTTP 403",))


@pytest.mark.parametrize(("reason", "code"), [("InvalidImageName", "KPO-IMG101"), ("ErrImageNeverPull", "KPO-IMG102")])
def test_image_that_is_never_pulled_is_final(reason: str, code: str):
    assert [cause[:2] for cause in find_causes(pull("", reason=reason))] == [(code, "final")]


def test_first_line_has_cause_reason_fix_and_section():
    (cause,) = diagnose(pull(f"{RESOLVE}{IMAGE}: not found")).causes
    assert str(cause) == (
        f"The image {IMAGE} does not exist in registry registry.test (ErrImagePull). Correct its name or tag, or push "
        "it. [KPO-IMG103: docs/troubleshooting.md#kpo-img103]"
    )


def test_running_pod_has_no_image_problem():
    running = {"name": "base", "state": {"running": {"startedAt": "2026-11-30T10:00:00Z"}}}
    old = build_event("Failed", f'Failed to pull image "{IMAGE}": timeout', "base")
    assert find_causes(Facts(pod=build_pod(phase="Running", containerStatuses=[running]), events=(old,))) == []
