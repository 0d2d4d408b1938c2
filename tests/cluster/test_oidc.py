"""Login with an OpenID Connect provider on the cluster: groups and names determine the roles."""

from __future__ import annotations

import json
import secrets
import urllib.request
from collections.abc import Callable, Iterator
from http.cookiejar import CookieJar
from pathlib import Path

import pytest
import yaml

from cluster.support.airflow_runs.long_runs import read_component_pods
from cluster.support.rights.airflow_users import delete_user, push_team_dags, read_roles, send_request
from common.polling import NotYet, wait_for
from common.steps import Steps
from images.recipes import AIRFLOW
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import NAMESPACE, RELEASE, Stack

PROVIDER = Path(__file__).parent / "files" / "oidc_provider.py"
SECRET = secrets.token_urlsafe(16)
OWNERS = {"alpha": [{"group": "kube:alpha-engineers"}], "beta": [{"user": "kube:ulla"}]}
USERS = {
    "ada": {"groups": ["alpha-engineers", "everybody"], "in_token": True},
    "ulla": {"groups": ["everybody"], "in_token": True},
    "root": {"groups": ["platform"], "in_token": False},
    "admin": {"groups": ["platform"], "in_token": True},
    "stranger": {"groups": ["everybody"], "in_token": True},
}
LogIn = Callable[[str], str]


def provider_objects(address: str) -> list[dict[str, object]]:
    """Return the provider's objects: a pod of Airflow's image, which has all dependencies."""
    labels = {"app.kubernetes.io/name": "oidc"}
    variables = {"ISSUER": f"http://{address}", "CLIENT": f"airflow:{SECRET}", "USERS": json.dumps(USERS)}
    container = {
        "name": "provider",
        "image": AIRFLOW.reference,
        "args": ["python", "/provider/oidc_provider.py"],
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "readinessProbe": {"httpGet": {"path": "/keys", "port": 8080}, "periodSeconds": 1},
        "volumeMounts": [{"name": "provider", "mountPath": "/provider"}],
    }
    spec = {"containers": [container], "volumes": [{"name": "provider", "configMap": {"name": "provider"}}]}
    data = {PROVIDER.name: PROVIDER.read_text()}
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "provider"}, "data": data},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "oidc", "labels": labels}, "spec": spec},
    ]


SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "oidc"},
    "spec": {"selector": {"app.kubernetes.io/name": "oidc"}, "ports": [{"port": 8080}]},
}


@pytest.fixture(scope="module")
def provider(stack: Stack) -> Iterator[str]:
    """The provider's address, the same for users and for pods."""
    try:
        stack.kubectl("create", "namespace", "oidc")
        stack.kubectl("create", "-n", "oidc", "-f", "-", stdin=json.dumps(SERVICE))
        address = stack.service_address("oidc", "oidc")
        for item in provider_objects(address):
            stack.kubectl("create", "-n", "oidc", "-f", "-", stdin=json.dumps(item))
        stack.kubectl("wait", "-n", "oidc", "pod/oidc", "--for=condition=Ready", "--timeout=120s", timeout_s=130)
        yield address
    finally:
        stack.kubectl("delete", "namespace", "oidc", "--ignore-not-found", timeout_s=120)


@pytest.fixture(scope="module")
def log_in(
    stack: Stack, airflow: AirflowApi, provider: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LogIn]:
    """Logs users in as a browser does and returns their tokens; the release is restored afterwards."""
    values = write_values(tmp_path_factory.mktemp("values"), provider, OWNERS)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "oidc-client"}}
    try:
        stack.kubectl(
            "apply", "-n", NAMESPACE, "-f", "-", stdin=json.dumps({**secret, "stringData": {"client-secret": SECRET}})
        )
        install_release(Steps(), stack, values)
        push_team_dags(stack, airflow)
        yield lambda name: read_token(stack, provider, name)
        for name in USERS.keys() - {"admin"}:
            delete_user(airflow, name)
    finally:
        install_release(Steps(), stack)
        stack.kubectl("delete", "secret", "oidc-client", "-n", NAMESPACE, "--ignore-not-found")


def write_values(folder: Path, provider: str, owners: dict[str, list[dict[str, str]]]) -> Path:
    """Write the values for this provider to a file."""
    oidc = {
        "issuer": f"http://{provider}",
        "clientId": "airflow",
        "clientSecretName": "oidc-client",
        "adminGroups": ["platform"],
        "kubernetesPrefix": "kube:",
    }
    file = folder / "oidc.yaml"
    file.write_text(
        yaml.safe_dump({"oidc": oidc, "teams": {team: {"owners": team_owners} for team, team_owners in owners.items()}})
    )
    return file


def read_token(stack: Stack, provider: str, name: str) -> str:
    """Log a user in with the provider; return the token of Airflow's cookie, or an empty string."""
    cookies = CookieJar()
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(cookies))
    browser.open(f"http://{provider}/select-user/{name}", timeout=30).read()
    browser.open(f"http://{stack.service_address(f'{RELEASE}-api-server')}/auth/login/oidc", timeout=60).read()
    return next((str(cookie.value) for cookie in cookies if cookie.name == "_token"), "")


def list_dags(stack: Stack, token: str) -> set[str]:
    """Return the DAGs of this group that a token can read."""
    response = send_request(stack, token, "GET", "/api/v2/dags?dag_id_pattern=people_&limit=100")
    assert response.status == 200, response
    return {dag["dag_id"] for dag in json.loads(response.body)["dags"]}


def test_group_members_get_the_team_role(stack: Stack, airflow: AirflowApi, log_in: LogIn):
    token = log_in("ada")
    assert read_roles(airflow, "ada") == {"Public", "team-alpha"}
    assert list_dags(stack, token) == {"people_alpha"}
    assert send_request(stack, token, "GET", "/api/v2/dags/people_beta").status == 403


def test_user_can_be_an_owner_by_name(stack: Stack, airflow: AirflowApi, log_in: LogIn):
    token = log_in("ulla")
    assert read_roles(airflow, "ulla") == {"Public", "team-beta"}
    assert list_dags(stack, token) == {"people_beta"}


def test_admin_groups_are_read_from_the_userinfo_endpoint(stack: Stack, airflow: AirflowApi, log_in: LogIn):
    token = log_in("root")
    assert read_roles(airflow, "root") == {"Public", "Admin"}
    assert send_request(stack, token, "GET", "/api/v2/connections").status == 200


def test_user_without_a_team_sees_nothing(stack: Stack, airflow: AirflowApi, log_in: LogIn):
    token = log_in("stranger")
    assert read_roles(airflow, "stranger") == {"Public"}
    assert send_request(stack, token, "GET", "/api/v2/dags").status == 403


def test_password_account_rejects_a_login_with_the_same_name(airflow: AirflowApi, log_in: LogIn):
    assert log_in("admin") == ""
    assert read_roles(airflow, "admin") == {"Admin"}


def test_administrator_password_is_still_valid(airflow: AirflowApi, log_in: LogIn):
    client = AirflowApi(airflow.address, airflow.username, airflow.password)
    assert client.get("dags?limit=1")["total_entries"] > 0


def test_removed_owner_loses_the_role_at_the_next_login(
    stack: Stack, airflow: AirflowApi, provider: str, log_in: LogIn, tmp_path: Path
):
    before = read_component_pods(stack)["api-server"]
    install_release(Steps(), stack, write_values(tmp_path, provider, {**OWNERS, "alpha": []}))

    def probe() -> None:
        log_in("ada")
        if (roles := read_roles(airflow, "ada")) != {"Public"}:
            raise NotYet(f"the roles are {roles}")

    wait_for("ada to lose the role", probe, 150, interval_s=5)
    assert read_component_pods(stack)["api-server"] == before
