"""People sign in by an OpenID Connect provider on the cluster, and their groups and names decide what they see."""

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
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import NAMESPACE, RELEASE, Stack

PROVIDER = Path(__file__).parent / "files" / "oidc_provider.py"
SECRET = secrets.token_urlsafe(16)
OWNERS = {"alpha": [{"group": "kube:alpha-engineers"}], "beta": [{"user": "kube:ulla"}]}
PEOPLE = {
    "ada": {"groups": ["alpha-engineers", "everybody"], "in_token": True},
    "ulla": {"groups": ["everybody"], "in_token": True},
    "root": {"groups": ["platform"], "in_token": False},
    "admin": {"groups": ["platform"], "in_token": True},
    "stranger": {"groups": ["everybody"], "in_token": True},
}
SignIn = Callable[[str], str]


def manifest(address: str) -> list[dict[str, object]]:
    """The provider: a pod of Airflow's image, which has all that it needs, under a Service."""
    labels = {"app.kubernetes.io/name": "oidc"}
    variables = {"ISSUER": f"http://{address}", "CLIENT": f"airflow:{SECRET}", "PEOPLE": json.dumps(PEOPLE)}
    container = {
        "name": "provider",
        "image": "localhost/kpo-platform/airflow:3.3.2",
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
    """The provider's address, the same for people and for pods."""
    try:
        stack.kubectl("create", "namespace", "oidc")
        stack.kubectl("create", "-n", "oidc", "-f", "-", stdin=json.dumps(SERVICE))
        address = stack.service_address("oidc", "oidc")
        for item in manifest(address):
            stack.kubectl("create", "-n", "oidc", "-f", "-", stdin=json.dumps(item))
        stack.kubectl("wait", "-n", "oidc", "pod/oidc", "--for=condition=Ready", "--timeout=120s", timeout_s=130)
        yield address
    finally:
        stack.kubectl("delete", "namespace", "oidc", "--ignore-not-found", timeout_s=120)


@pytest.fixture(scope="module")
def sign_in(
    stack: Stack, airflow: AirflowApi, provider: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SignIn]:
    """Sign somebody in as a browser does, and give their token; the release is as before afterwards."""
    values = written(tmp_path_factory.mktemp("values"), provider, OWNERS)
    given = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "oidc-client"}}
    try:
        stack.kubectl(
            "apply", "-n", NAMESPACE, "-f", "-", stdin=json.dumps({**given, "stringData": {"client-secret": SECRET}})
        )
        install_release(Steps(), stack, values)
        push_team_dags(stack, airflow)
        yield lambda name: token_of(stack, provider, name)
        for name in PEOPLE.keys() - {"admin"}:
            delete_user(airflow, name)
    finally:
        install_release(Steps(), stack)
        stack.kubectl("delete", "secret", "oidc-client", "-n", NAMESPACE, "--ignore-not-found")


def written(folder: Path, provider: str, owners: dict[str, list[dict[str, str]]]) -> Path:
    """The values with which people sign in there, in a file."""
    oidc = {
        "issuer": f"http://{provider}",
        "clientId": "airflow",
        "clientSecretName": "oidc-client",
        "adminGroups": ["platform"],
        "kubernetesPrefix": "kube:",
    }
    file = folder / "oidc.yaml"
    file.write_text(yaml.safe_dump({"oidc": oidc, "teams": {team: {"owners": own} for team, own in owners.items()}}))
    return file


def token_of(stack: Stack, provider: str, name: str) -> str:
    """Sign somebody in by the provider, and give the token that Airflow leaves in their browser; empty for none."""
    jar = CookieJar()
    browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar))
    browser.open(f"http://{provider}/become/{name}", timeout=30).read()
    browser.open(f"http://{stack.service_address(f'{RELEASE}-api-server')}/auth/login/oidc", timeout=60).read()
    return next((str(cookie.value) for cookie in jar if cookie.name == "_token"), "")


def dags_of(stack: Stack, token: str) -> set[str]:
    """The DAGs of this group's that somebody sees."""
    answer = send_request(stack, token, "GET", "/api/v2/dags?dag_id_pattern=people_&limit=100")
    assert answer.status == 200, answer
    return {dag["dag_id"] for dag in json.loads(answer.body)["dags"]}


def test_a_group_s_people_are_the_team_s(stack: Stack, airflow: AirflowApi, sign_in: SignIn):
    token = sign_in("ada")
    assert read_roles(airflow, "ada") == {"Public", "team-alpha"}
    assert dags_of(stack, token) == {"people_alpha"}
    assert send_request(stack, token, "GET", "/api/v2/dags/people_beta").status == 403


def test_a_person_may_be_an_owner_by_name(stack: Stack, airflow: AirflowApi, sign_in: SignIn):
    token = sign_in("ulla")
    assert read_roles(airflow, "ulla") == {"Public", "team-beta"}
    assert dags_of(stack, token) == {"people_beta"}


def test_groups_that_the_token_leaves_out_are_asked_for_and_may_administer(
    stack: Stack, airflow: AirflowApi, sign_in: SignIn
):
    token = sign_in("root")
    assert read_roles(airflow, "root") == {"Public", "Admin"}
    assert send_request(stack, token, "GET", "/api/v2/connections").status == 200


def test_somebody_of_no_team_sees_nothing(stack: Stack, airflow: AirflowApi, sign_in: SignIn):
    token = sign_in("stranger")
    assert read_roles(airflow, "stranger") == {"Public"}
    assert send_request(stack, token, "GET", "/api/v2/dags").status == 403


def test_an_account_with_a_password_is_not_entered_by_a_person_of_that_name(airflow: AirflowApi, sign_in: SignIn):
    assert sign_in("admin") == ""
    assert read_roles(airflow, "admin") == {"Admin"}


def test_the_administrator_s_password_still_opens_the_api(airflow: AirflowApi, sign_in: SignIn):
    again = AirflowApi(airflow.address, airflow.username, airflow.password)
    assert again.get("dags?limit=1")["total_entries"] > 0


def test_an_owner_who_is_taken_off_loses_the_role_at_the_next_sign_in_without_a_restart(
    stack: Stack, airflow: AirflowApi, provider: str, sign_in: SignIn, tmp_path: Path
):
    before = read_component_pods(stack)["api-server"]
    install_release(Steps(), stack, written(tmp_path, provider, {**OWNERS, "alpha": []}))

    def probe() -> None:
        sign_in("ada")
        if (roles := read_roles(airflow, "ada")) != {"Public"}:
            raise NotYet(f"the roles are {roles}")

    wait_for("ada to lose the role", probe, 150, interval_s=5)
    assert read_component_pods(stack)["api-server"] == before
