"""Rights of real tokens in the identities' own namespaces and in others."""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from cluster.support.pods.sleeper import POD
from cluster.support.rights.identity import NAMESPACE_REQUESTS, Identity, split_rules
from cluster.support.rights.reduced_account import read_role
from common.files import write_atomically
from stack.release import Stack

NAMESPACES = ("team-alpha", "team-beta", "airflow", "kube-system", "rights-stranger")

LAUNCHER = {
    "create pods",
    "get pods",
    "list pods",
    "patch pods",
    "watch pods",
    "delete pods",
    "get pods/log",
    "create pods/exec",
    "get pods/exec",
    "get persistentvolumeclaims",
    "list events",
    "watch events",
}
DEVELOPER = {
    "get pods",
    "list pods",
    "watch pods",
    "delete pods",
    "get pods/log",
    "list events",
    "watch events",
    "get persistentvolumeclaims",
    "list persistentvolumeclaims",
    "list resourcequotas",
}
CLEANER = {"list pods", "delete pods"}

ACCOUNTS = {
    "scheduler": "airflow/airflow-scheduler",
    "triggerer": "airflow/airflow-triggerer",
    "dag-processor": "airflow/airflow-dag-processor",
    "api-server": "airflow/airflow-api-server",
    "clean-up": "airflow/airflow-cleanup",
    "secrets": "airflow/airflow-secrets",
    "alpha": "team-alpha/team-pod",
    "beta": "team-beta/team-pod",
}
"""Identities → namespace and name of the service account."""

USERS = {"alpha's people": "alpha-engineers", "beta's people": "beta-engineers"}
"""Identities of users → the group that the cluster's authentication would assign."""

ROLES: dict[tuple[str, str], str] = {
    ("scheduler", "team-alpha"): "pod-launcher",
    ("scheduler", "team-beta"): "pod-launcher",
    ("triggerer", "team-alpha"): "pod-launcher",
    ("triggerer", "team-beta"): "pod-launcher",
    ("clean-up", "team-alpha"): "pod-cleaner",
    ("clean-up", "team-beta"): "pod-cleaner",
    ("secrets", "airflow"): "secret-maker",
    ("alpha's people", "team-alpha"): "team-developer",
    ("beta's people", "team-beta"): "team-developer",
}
"""Identity and namespace → its role in rbac/; all others have none."""

REQUESTS = {
    "pod-launcher": LAUNCHER,
    "pod-cleaner": CLEANER,
    "secret-maker": {"create secrets"},
    "team-developer": DEVELOPER,
}
"""Role → the requests that it allows; the chart's tests compare rendered rules with the files."""

DEFAULT_RULES = {
    ("authorization.k8s.io", "selfsubjectaccessreviews", "", "create"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "", "create"),
    ("authentication.k8s.io", "selfsubjectreviews", "", "create"),
    *(("certificates.k8s.io", "clustertrustbundles", "", verb) for verb in ("get", "list", "watch")),
}
"""Kubernetes' own rules: for authenticated users, reviews of themselves (system:basic-user); for all service accounts,
public certificates (system:cluster-trust-bundle-discovery).
"""


@pytest.fixture(scope="module")
def identities(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Identity]:
    """Service accounts with TokenRequest tokens; users by impersonation, because they would log in elsewhere."""
    config = stack.read_kubeconfig()
    server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    ca_certificate = base64.b64decode(server["certificate-authority-data"]).decode()
    ssl_context, admin_context = (ssl.create_default_context(cadata=ca_certificate) for _ in range(2))
    pair = tmp_path_factory.mktemp("admin") / "pair.pem"
    keys = ("client-certificate-data", "client-key-data")
    write_atomically(pair, "".join(base64.b64decode(user[key]).decode() for key in keys), mode=0o600)
    admin_context.load_cert_chain(pair)

    def account_identity(account_path: str) -> Identity:
        namespace, name = account_path.split("/")
        token = stack.kubectl("create", "token", name, "-n", namespace, "--duration=10m").strip()
        return Identity(server["server"], ssl_context, {"Authorization": f"Bearer {token}"})

    def user_identity(group: str) -> Identity:
        return Identity(server["server"], admin_context, {"Impersonate-User": "member", "Impersonate-Group": group})

    accounts = {name: account_identity(account_path) for name, account_path in ACCOUNTS.items()}
    return accounts | {name: user_identity(group) for name, group in USERS.items()}


@pytest.fixture(scope="module")
def other_namespace(namespace_factory: Any) -> str:
    """A namespace that belongs to no team."""
    return str(namespace_factory("rights-stranger").name)


@pytest.fixture(scope="module", autouse=True)
def running_pods(stack: Stack, other_namespace: str) -> Iterator[None]:
    """A pod to get, patch, exec into and delete, in the teams' namespaces and in another one."""
    namespaces = ("team-alpha", "team-beta", other_namespace)
    pod = json.dumps({**POD, "metadata": {"name": "rights"}})
    for namespace in namespaces:
        stack.kubectl("delete", "pod", "rights", "-n", namespace, "--ignore-not-found", "--grace-period=1")
        stack.kubectl("apply", "-n", namespace, "-f", "-", stdin=pod)
    for namespace in namespaces:
        stack.kubectl("wait", "pod/rights", "-n", namespace, "--for=condition=Ready", "--timeout=60s", timeout_s=70)
    yield
    for namespace in namespaces:
        stack.kubectl("delete", "pod", "rights", "-n", namespace, "--grace-period=1", "--wait=false")


CASES = [(name, namespace) for name in (*ACCOUNTS, *USERS) for namespace in NAMESPACES]


@pytest.mark.parametrize(("name", "namespace"), CASES)
def test_each_identity_has_the_rights_of_its_role_only(identities: dict[str, Identity], name: str, namespace: str):
    role = ROLES.get((name, namespace))
    assert identities[name].list_granted(namespace) == (REQUESTS[role] if role else set())


@pytest.mark.parametrize(("name", "namespace"), CASES)
def test_access_review_lists_exactly_the_rules_of_the_role(identities: dict[str, Identity], name: str, namespace: str):
    role = ROLES.get((name, namespace))
    assert identities[name].read_rules(namespace) - DEFAULT_RULES == split_rules(read_role(role) if role else [])


@pytest.mark.parametrize("name", [*ACCOUNTS, *USERS])
def test_no_identity_has_cluster_wide_rights(identities: dict[str, Identity], name: str):
    assert identities[name].list_granted() == set()


@pytest.mark.parametrize("name", list(ACCOUNTS))
def test_no_identity_may_impersonate_another(identities: dict[str, Identity], name: str):
    own = identities[name]
    other = Identity(own.server, own.ssl_context, {**own.headers, "Impersonate-User": "system:admin"})
    status, _ = other.send("GET", "/api/v1/namespaces/team-alpha/pods", None)
    assert status == 403


def test_tokens_are_valid(identities: dict[str, Identity]):
    """Positive control of the refusals above: the API server authenticates each token."""
    usernames = {name: identities[name].read_username() for name in ACCOUNTS}
    assert usernames == {
        name: f"system:serviceaccount:{account_path.replace('/', ':')}" for name, account_path in ACCOUNTS.items()
    }


def test_administrator_may_send_every_request(stack: Stack, identities: dict[str, Identity]):
    """Positive control of the requests above."""
    admin = Identity(identities["alpha's people"].server, identities["alpha's people"].ssl_context, {})
    assert admin.list_granted("team-alpha") == set(NAMESPACE_REQUESTS)


def test_airflow_and_teams_have_no_cluster_role_bindings(stack: Stack):
    bindings = stack.get("clusterrolebindings")["items"]
    subjects = [subject.get("namespace", "") for binding in bindings for subject in binding.get("subjects", [])]
    assert [name for name in subjects if name == "airflow" or name.startswith("team-")] == []
