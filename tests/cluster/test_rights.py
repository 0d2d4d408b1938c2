"""Rights, tried with real tokens: what an identity may do in its own namespace it may not do in another's."""

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

SPACES = ("team-alpha", "team-beta", "airflow", "kube-system", "rights-stranger")

LAUNCHER = {
    "create pods",
    "get pods",
    "list pods",
    "patch pods",
    "delete pods",
    "get pods/log",
    "create pods/exec",
    "get pods/exec",
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
"""Who there is, by namespace and name of the service account."""

PEOPLE = {"alpha's people": "alpha-engineers", "beta's people": "beta-engineers"}
"""Who else there is, by the group that the cluster's sign-in would put them in."""

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
"""Who has which role of rbac/ where; everybody else has none anywhere."""

REQUESTS = {
    "pod-launcher": LAUNCHER,
    "pod-cleaner": CLEANER,
    "secret-maker": {"create secrets"},
    "team-developer": DEVELOPER,
}
"""The requests that each role lets in; the chart's tests hold the rendered rules to the files."""

EVERYBODY = {
    ("authorization.k8s.io", "selfsubjectaccessreviews", "", "create"),
    ("authorization.k8s.io", "selfsubjectrulesreviews", "", "create"),
    ("authentication.k8s.io", "selfsubjectreviews", "", "create"),
    *(("certificates.k8s.io", "clustertrustbundles", "", verb) for verb in ("get", "list", "watch")),
}
"""What Kubernetes itself gives: to whoever has signed in, asking about themselves (system:basic-user); to all service
accounts, public certificates (system:cluster-trust-bundle-discovery).
"""


@pytest.fixture(scope="module")
def identities(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Identity]:
    """Accounts with a token by TokenRequest; people by impersonation, for they would sign in elsewhere."""
    config = stack.read_kubeconfig()
    server, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = base64.b64decode(server["certificate-authority-data"]).decode()
    plain, admin = (ssl.create_default_context(cadata=authority) for _ in range(2))
    pair = tmp_path_factory.mktemp("admin") / "pair.pem"
    keys = ("client-certificate-data", "client-key-data")
    write_atomically(pair, "".join(base64.b64decode(user[key]).decode() for key in keys), mode=0o600)
    admin.load_cert_chain(pair)

    def account(place: str) -> Identity:
        namespace, name = place.split("/")
        token = stack.kubectl("create", "token", name, "-n", namespace, "--duration=10m").strip()
        return Identity(server["server"], plain, {"Authorization": f"Bearer {token}"})

    def person(group: str) -> Identity:
        return Identity(server["server"], admin, {"Impersonate-User": "somebody", "Impersonate-Group": group})

    accounts = {name: account(place) for name, place in ACCOUNTS.items()}
    return accounts | {name: person(group) for name, group in PEOPLE.items()}


@pytest.fixture(scope="module")
def stranger(namespace_factory: Any) -> str:
    """A namespace that is nobody's team."""
    return str(namespace_factory("rights-stranger").name)


@pytest.fixture(scope="module", autouse=True)
def a_running_pod_in_each_namespace(stack: Stack, stranger: str) -> Iterator[None]:
    """Something to get, patch, exec into and delete, in the teams' namespaces and in a stranger's."""
    namespaces = ("team-alpha", "team-beta", stranger)
    pod = json.dumps({**POD, "metadata": {"name": "rights"}})
    for namespace in namespaces:
        stack.kubectl("delete", "pod", "rights", "-n", namespace, "--ignore-not-found", "--grace-period=1")
        stack.kubectl("apply", "-n", namespace, "-f", "-", stdin=pod)
    for namespace in namespaces:
        stack.kubectl("wait", "pod/rights", "-n", namespace, "--for=condition=Ready", "--timeout=60s", timeout_s=70)
    yield
    for namespace in namespaces:
        stack.kubectl("delete", "pod", "rights", "-n", namespace, "--grace-period=1", "--wait=false")


EVERYWHERE = [(name, space) for name in (*ACCOUNTS, *PEOPLE) for space in SPACES]


@pytest.mark.parametrize(("name", "namespace"), EVERYWHERE)
def test_each_identity_is_let_in_by_its_role_and_by_nothing_else(
    identities: dict[str, Identity], name: str, namespace: str
):
    role = ROLES.get((name, namespace))
    assert identities[name].list_granted(namespace) == (REQUESTS[role] if role else set())


@pytest.mark.parametrize(("name", "namespace"), EVERYWHERE)
def test_the_api_server_knows_of_exactly_the_written_rules(identities: dict[str, Identity], name: str, namespace: str):
    role = ROLES.get((name, namespace))
    assert identities[name].read_rules(namespace) - EVERYBODY == split_rules(read_role(role) if role else [])


@pytest.mark.parametrize("name", [*ACCOUNTS, *PEOPLE])
def test_nobody_has_rights_in_the_whole_cluster(identities: dict[str, Identity], name: str):
    assert identities[name].list_granted() == set()


@pytest.mark.parametrize("name", list(ACCOUNTS))
def test_nobody_may_act_as_somebody_else(identities: dict[str, Identity], name: str):
    mine = identities[name]
    other = Identity(mine.server, mine.ssl_context, {**mine.headers, "Impersonate-User": "system:admin"})
    status, _ = other.send("GET", "/api/v1/namespaces/team-alpha/pods", None)
    assert status == 403


def test_the_tokens_are_good(identities: dict[str, Identity]):
    """The positive control of every refusal above: each token is known to the API server as who it claims to be."""
    known = {name: identities[name].read_username() for name in ACCOUNTS}
    assert known == {name: f"system:serviceaccount:{place.replace('/', ':')}" for name, place in ACCOUNTS.items()}


def test_every_request_is_one_that_somebody_may_send(stack: Stack, identities: dict[str, Identity]):
    """The other positive control: the administrator is let in by each of them."""
    admin = Identity(identities["alpha's people"].server, identities["alpha's people"].ssl_context, {})
    assert admin.list_granted("team-alpha") == set(NAMESPACE_REQUESTS)


def test_no_cluster_role_was_made_for_airflow_or_a_team(stack: Stack):
    bindings = stack.get("clusterrolebindings")["items"]
    subjects = [s.get("namespace", "") for b in bindings for s in b.get("subjects", [])]
    assert [n for n in subjects if n == "airflow" or n.startswith("team-")] == []
