"""Rules for composed pods: images, quota, labels, Pod Security and credentials."""

from __future__ import annotations

import time
from typing import Any

import pytest

from kpo_platform.pod.merge import merge
from unit.support.contracts import TEAM
from unit.support.pod_checks import list_refusals, override_base, override_env, override_spec

BASELINE_FIX = "Leave it out. If the program needs it, ask the platform team for another way."
RESTRICTED_REASON = (
    "but team 'alpha' has the Pod Security level restricted. Leave it out, or ask the platform team for "
    "podSecurity: baseline if the image needs it."
)
OF_BASE = "of container 'base'"
CREDENTIAL_FIX = (
    "Put it into a Secret in the team's namespace and use it with env_from or secrets. Here, everyone who may see pods "
    "or DAGs can read it."
)


def test_ordinary_pod_is_not_refused():
    assert list_refusals({}) == []


@pytest.mark.parametrize(
    ("image", "pin", "version"),
    [
        ("busybox", "tag", "a tag other than latest, such as name:1.2"),
        ("busybox:latest", "tag", "a tag other than latest, such as name:1.2"),
        ("localhost:5000/busybox", "tag", "a tag other than latest, such as name:1.2"),
        ("busybox:1.35", "digest", "a digest, such as name@sha256:…"),
    ],
)
def test_image_without_fixed_version_is_refused(image: str, pin: str, version: str):
    assert list_refusals(override_base(image=image), images={**TEAM["images"], "pin": pin}) == [
        f"The image {image!r} {OF_BASE} has no fixed version, which team 'alpha' requires. Use {version}."
    ]


@pytest.mark.parametrize(
    ("image", "pin"),
    [("busybox@sha256:" + 64 * "a", "digest"), ("busybox", "none"), ("localhost:5000/busybox:1", "tag")],
)
def test_image_with_the_required_version_is_not_refused(image: str, pin: str):
    assert list_refusals(override_base(image=image), images={**TEAM["images"], "pin": pin}) == []


def test_only_images_of_the_author_must_match_images_allow():
    images = {"registryPrefix": "mirror.test", "pin": "tag", "allow": ["mirror.test/team/*", "quay.io/*"]}
    aside = {"name": "log-shipper", "image": "busybox:1.35", "restartPolicy": "Always"}
    xcom = {"name": "airflow-xcom-sidecar", "image": "registry.test/alpine:3"}
    pod = override_spec(containers=[{"name": "base", "image": "other/app:1"}, xcom], initContainers=[aside])
    assert list_refusals(pod, images=images) == [
        f"The image 'mirror.test/other/app:1' {OF_BASE} is not allowed for team 'alpha', which allows "
        "mirror.test/team/*, quay.io/*. Use an allowed image, or ask the platform team to add this one to images.allow."
    ]
    assert list_refusals(override_base(image="team/app:1"), images=images) == []


def test_pod_above_the_quota_is_refused_with_its_total():
    aside = {"name": "aside", "image": "a:1", "restartPolicy": "Always", "resources": {"requests": {"memory": "512Mi"}}}
    pod = merge(
        override_base(resources={"limits": {"memory": "768Mi"}, "requests": {"memory": "768Mi"}}),
        override_spec(initContainers=[aside]),
    )
    quota = {"requests.memory": "1Gi", "limits.cpu": "2", "pods": "3"}
    assert list_refusals(pod, quota=quota) == [
        "The pod requests 1280Mi of requests.memory, but the quota of team 'alpha' for all pods is 1Gi, "
        "so the pod cannot start. Use a smaller size or smaller container_resources, or ask the platform team for a "
        "larger quota."
    ]


def test_container_above_the_maximum_is_refused():
    limits = {**TEAM["limits"], "max": {"cpu": "500m"}}
    assert list_refusals(override_base(resources={"limits": {"cpu": "2"}}), limits=limits) == [
        "Container 'base' requests 2 of cpu, but a container of team 'alpha' may have at most 500m. Use a smaller "
        "size or smaller container_resources, or ask the platform team to raise limits.max."
    ]


def test_missing_required_label_is_refused():
    missing = {"metadata": {"labels": {"cost-center": None}}}
    assert list_refusals(missing, policy={"cost-center": "required"}) == [
        "The label cost-center is missing, but the platform requires it in every pod. Set it in labels, or ask the "
        "platform team to set it for team 'alpha'."
    ]
    assert list_refusals({}, policy={"cost-center": "required"}) == []


@pytest.mark.parametrize(
    ("pod", "violation"),
    [
        (override_spec(hostNetwork=True), "The pod sets hostNetwork"),
        (override_spec(hostPID=True), "The pod sets hostPID"),
        (override_spec(hostIPC=True), "The pod sets hostIPC"),
        (
            override_spec(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
            "Volume 'v' mounts a path of the node (hostPath)",
        ),
        (
            override_spec(securityContext={"sysctls": [{"name": "kernel.msgmax"}]}),
            "The pod sets the sysctl kernel.msgmax",
        ),
        (
            override_spec(securityContext={"seccompProfile": {"type": "Unconfined"}}),
            "The pod sets seccompProfile to Unconfined",
        ),
        (override_base(securityContext={"privileged": True}), "Container 'base' is privileged"),
        (override_base(securityContext={"procMount": "Unmasked"}), "Container 'base' sets procMount to Unmasked"),
        (
            override_base(securityContext={"appArmorProfile": {"type": "Unconfined"}}),
            "Container 'base' sets appArmorProfile to Unconfined",
        ),
        (
            override_base(securityContext={"windowsOptions": {"hostProcess": True}}),
            "Container 'base' sets windowsOptions.hostProcess",
        ),
        (
            override_base(securityContext={"seLinuxOptions": {"role": "r"}}),
            "Container 'base' sets an SELinux user or role",
        ),
        (
            override_base(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
            "Container 'base' adds the capability SYS_ADMIN",
        ),
        (
            override_base(ports=[{"containerPort": 80, "hostPort": 80}]),
            "Container 'base' uses the port 80 of the node (hostPort)",
        ),
    ],
)
@pytest.mark.parametrize("level", ["restricted", "baseline"])
def test_baseline_violation_is_refused_at_every_level(pod: dict[str, Any], violation: str, level: str):
    assert list_refusals(pod, podSecurity=level) == [
        f"{violation}, which no team's Pod Security level allows. {BASELINE_FIX}"
    ]


@pytest.mark.parametrize(
    ("pod", "violation"),
    [
        (override_spec(securityContext={"runAsNonRoot": False}), "The pod sets runAsNonRoot to false"),
        (override_spec(securityContext={"runAsUser": 0}), "The pod runs as root (runAsUser 0)"),
        (override_base(securityContext={"runAsUser": 0}), "Container 'base' runs as root (runAsUser 0)"),
        (
            override_base(securityContext={"allowPrivilegeEscalation": True}),
            "Container 'base' sets allowPrivilegeEscalation",
        ),
        (
            override_base(securityContext={"capabilities": {"add": ["CHOWN"]}}),
            "Container 'base' adds the capability CHOWN",
        ),
        (
            override_base(securityContext={"capabilities": {"drop": []}}),
            "Container 'base' drops no capability instead of ALL",
        ),
        (
            override_base(securityContext={"capabilities": {"drop": ["KILL"]}}),
            "Container 'base' drops KILL instead of ALL",
        ),
        (override_spec(volumes=[{"name": "v", "iscsi": {}}]), "Volume 'v' has the type iscsi"),
    ],
)
def test_restricted_violation_is_refused_with_a_fix(pod: dict[str, Any], violation: str):
    assert list_refusals(pod) == [f"{violation}, {RESTRICTED_REASON}"]
    assert list_refusals(pod, podSecurity="baseline") == []


def test_inline_nfs_volume_is_refused_in_favour_of_a_claim():
    pod = override_spec(volumes=[{"name": "share", "nfs": {"server": "nfs.test", "path": "/"}}])
    assert list_refusals(pod) == [
        "Volume 'share' mounts NFS directly, which the Pod Security level restricted of team 'alpha' does not allow. "
        "Use a PersistentVolumeClaim: ask the platform team to add it to the team's volumes."
    ]
    assert list_refusals(pod, podSecurity="baseline") == []


def test_projected_token_for_the_cluster_api_is_refused():
    def projected(**token: str) -> dict[str, Any]:
        return override_spec(
            volumes=[{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "p", **token}}]}}]
        )

    assert list_refusals(projected()) == [
        "Volume 't' mounts a token for the Kubernetes API, but the pods of team 'alpha' have none. Set the "
        "audience to the service that receives the token, or ask the platform team to set serviceAccount.mountToken."
    ]
    assert list_refusals(projected(audience="https://kubernetes.default.svc.cluster.local")) == list_refusals(
        projected()
    )
    assert list_refusals(projected(audience="vault")) == []


CREDENTIALS = [
    ("DB_PASSWORD", "hunter22", "a credential"),
    ("db_password", "hunter22", "a credential"),
    *((name, "hunter22", "a credential") for name in ("PGPASSWORD", "MYSQL_PWD", "DB_PASS", "dbPassword", "db.pass")),
    *((name, "hunter22", "a credential") for name in ("DB_PASSWORD_2", "apiToken", "clientSecret", "SMTP_PASS2")),
    ("DB_PASSWORD", "12345", "a credential"),
    ("PASSWORD", "/hunter22", "a credential"),
    ("API_KEY", "0123456789abcdef", "a credential"),
    ("OPTIONS", "key=AKIA" + "ABCDEFGH12345678", "an AWS access key"),
    ("GIT", "ghp_" + 36 * "a", "a GitHub token"),
    ("GIT", "glpat-" + 20 * "a", "a GitLab token"),
    ("HOOK", "xoxb-" + "1234567890", "a Slack token"),
    ("MAPS", "AIza" + 35 * "b", "a Google API key"),
    ("PAY", "sk_live_" + 16 * "c", "a Stripe key"),
    ("PEM", "-----BEGIN RSA PRIVATE KEY-----\nMII", "a private key"),
    ("ID", "eyJ" + 10 * "a" + ".eyJ" + 10 * "b" + "." + 10 * "c", "a signed token"),
    ("STORE", "AccountName=a;AccountKey=" + 86 * "a" + "==;EndpointSuffix=b", "an Azure key"),
    ("BUS", "SharedAccessKeyName=a;SharedAccessKey=" + 43 * "a" + "=", "an Azure key"),
    ("MODEL", "sk-proj-" + 20 * "a", "an OpenAI key"),
    ("HOOK", "https://hooks.slack.com/services/T0/B0/" + 24 * "a", "a Slack webhook"),
    ("DSN", "postgresql://app:hunter22@db/x", "a password in a URL"),
]


@pytest.mark.parametrize(("name", "value", "kind"), CREDENTIALS)
def test_credential_in_a_variable_is_refused_and_not_shown(name: str, value: str, kind: str):
    sentence = f"The variable {name} of container 'base' looks like {kind}. {CREDENTIAL_FIX}"
    assert list_refusals(override_env(name, value)) == [sentence]
    assert value not in sentence


def test_credential_in_arguments_is_refused():
    words = ["curl https://user:hunter22@host", "curl https://user:hunter33@host"]
    assert list_refusals(override_base(args=words)) == [
        f"The field args of container 'base' contains text that looks like a password in a URL. {CREDENTIAL_FIX}"
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", ""),
        ("DB_PASSWORD", "$(FROM_SECRET)"),
        ("DB_PASSWORD", "/run/secrets/db"),
        ("DB_PASSWORD", "./db.txt"),
        ("ASK_PASSWORD", "0"),
        ("DB_PASSWORD_FILE", "hunter22"),
        ("PGPASSFILE", "/work/.pgpass"),
        ("passwordFile", "hunter22"),
        ("PWD", "here"),
        ("OLDPWD", "there"),
        ("PROJECT_PWD", "/work"),
        ("BYPASS", "proxy"),
        ("FIRST_PASS", "quick"),
        ("COMPASS", "north"),
        ("KEY_2", "hunter22"),
        ("BOOTSTRAP", "task-proj-0123456789abcdef0123"),
        ("HELP", "https://hooks.slack.com/services"),
        ("TOKEN_URL", "https://login.test/oauth"),
        ("SECRET_NAME", "regcred"),
        ("USE_TOKEN", "true"),
        ("EOS_TOKEN", "2"),
        ("MAX_TOKENS", "4096"),
        ("DSN", "postgresql://app:$(DB_PASSWORD)@db/x"),
        ("DSN", "postgresql://app@db:5432/x"),
    ],
)
def test_harmless_value_is_not_refused_as_a_credential(name: str, value: str):
    assert list_refusals(override_env(name, value)) == []


def test_jinja_template_is_checked_only_after_rendering():
    pod = merge(
        override_base(image="{{ params.image }}", securityContext={"privileged": "{{ params.root }}"}),
        {"metadata": {"namespace": "{{ params.namespace }}"}},
    )
    pod = merge(pod, override_env("DB_PASSWORD", "{{ conn.db.password }}"))
    assert list_refusals(pod, rendered=False) == []
    assert list_refusals(pod) == [
        "namespace is '{{ params.namespace }}', but team 'alpha' has 'team-alpha'. Leave it out, or ask the platform "
        "team to change the team's values.",
        f"The image '{{{{ params.image }}}}' {OF_BASE} has no fixed version, which team 'alpha' requires. "
        "Use a tag other than latest, such as name:1.2.",
        f"Container 'base' is privileged, which no team's Pod Security level allows. {BASELINE_FIX}",
        f"The variable DB_PASSWORD of container 'base' looks like a credential. {CREDENTIAL_FIX}",
        f"The image '{{{{ params.image }}}}' {OF_BASE} is not a valid image name. Write it as "
        "registry.example.com/team/name:1.2, with the name in lower case.",
    ]


def test_credential_search_takes_linear_time():
    script = "ab" * 200_000 + "://" * 10_000 + "eyJ" * 10_000
    before = time.process_time()
    assert list_refusals(override_base(args=[script])) == []
    assert time.process_time() - before < 2
