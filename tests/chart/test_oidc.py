"""Login through an OpenID Connect provider."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from chart.pod_scripts import load_script
from chart.rendering import CHART, Object, find_object, map_pods_by_component, render, render_errors
from kpo_platform.contract import CONFIGMAP_KEY, parse

OIDC: Object = {
    "issuer": "https://login.example.com/realms/data",
    "clientId": "airflow",
    "clientSecretName": "airflow-oidc",
    "adminGroups": ["platform"],
    "kubernetesPrefix": "oidc:",
}
OWNERS: Object = {
    "alpha": {"owners": [{"group": "oidc:data"}, {"user": "oidc:ada"}]},
    "beta": {"owners": [{"group": "oidc:data"}, {"group": "oidc:ops"}]},
}
VALUES: Object = {"oidc": OIDC, "teams": OWNERS}
NAMES = ("AIRFLOW__FAB__CONFIG_FILE", "KPO_PLATFORM_OIDC", "KPO_PLATFORM_OIDC_SECRET")


def read_variables(values: Object, component: str = "api-server") -> dict[str, str]:
    """Return the OIDC environment variables of a component."""
    (container,) = map_pods_by_component(render(values))[component]["spec"]["containers"]
    return {item["name"]: item["value"] for item in container["env"] if item["name"] in NAMES}


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Load webserver_config.py with the environment of VALUES."""
    (tmp_path / "client-secret").write_text("s3cret\n")
    monkeypatch.setenv("KPO_PLATFORM_OIDC", read_variables(VALUES)["KPO_PLATFORM_OIDC"])
    monkeypatch.setenv("KPO_PLATFORM_OIDC_SECRET", str(tmp_path / "client-secret"))
    return load_script("webserver_config", monkeypatch)


def test_only_api_server_and_secrets_job_have_the_client_secret() -> None:
    env = read_variables(VALUES)
    assert {**env, "KPO_PLATFORM_OIDC": json.loads(env["KPO_PLATFORM_OIDC"])} == {
        "AIRFLOW__FAB__CONFIG_FILE": "/opt/kpo-platform/scripts/webserver_config.py",
        "KPO_PLATFORM_OIDC": {
            **{key: value for key, value in OIDC.items() if key != "clientSecretName"},
            "scope": "openid profile email groups",
            "usernameClaim": "preferred_username",
            "groupsClaim": "groups",
        },
        "KPO_PLATFORM_OIDC_SECRET": "/opt/kpo-platform/oidc/client-secret",
    }
    with_secret = {
        name for name, pod in map_pods_by_component(render(VALUES)).items() if "airflow-oidc" in json.dumps(pod)
    }
    assert with_secret == {"api-server", "secrets"}


def test_without_oidc_the_api_server_has_no_oidc_settings() -> None:
    assert read_variables({"teams": OWNERS}) == {}
    assert "kpo-platform/oidc" not in json.dumps(map_pods_by_component(render({"teams": OWNERS}))["api-server"])


def test_owners_get_team_roles_and_admin_groups_get_admin(config: ModuleType) -> None:
    contract = parse(find_object(render(VALUES), "ConfigMap", "airflow-contract")["data"][CONFIGMAP_KEY])
    assert config.map_roles(contract, config._oidc) == {
        "Group:oidc:data": ["team-alpha", "team-beta"],
        "User:oidc:ada": ["team-alpha"],
        "Group:oidc:ops": ["team-beta"],
        "Group:oidc:platform": ["Admin"],
    }


def test_user_fields_come_from_the_configured_claims(config: ModuleType) -> None:
    claims = {"preferred_username": "ada", "email": "ada@example.com", "given_name": "Ada", "groups": ["data", "all"]}
    assert config.build_user_info(claims, config._oidc) == {
        "username": "ada",
        "email": "ada@example.com",
        "first_name": "Ada",
        "last_name": "",
        "role_keys": ["User:oidc:ada", "Group:oidc:data", "Group:oidc:all"],
    }


def test_missing_username_claim_is_an_error(config: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"no claim 'preferred_username', only email, sub\. .* oidc\.usernameClaim\.$"):
        config.build_user_info({"sub": "42", "email": "ada@example.com"}, config._oidc)


LOADED = """
import json
from airflow.utils.db import initdb
initdb()
from airflow.providers.fab.www.app import create_app
app = create_app(enable_plugins=False)
with app.app_context():
    manager = app.appbuilder.sm
    remote = manager.oauth_remotes["oidc"]
    print(json.dumps([type(manager).__name__, remote.client_id, remote.client_secret, remote.client_kwargs]))
"""


def test_airflow_loads_the_config_file_and_the_provider(tmp_path: Path) -> None:
    (tmp_path / "client-secret").write_text("s3cret\n")
    database = f"sqlite:///{tmp_path}/airflow.db"
    env = {
        **os.environ,
        **read_variables(VALUES),
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database,
        "AIRFLOW__FAB__CONFIG_FILE": str(CHART / "files" / "scripts" / "webserver_config.py"),
        "KPO_PLATFORM_OIDC_SECRET": str(tmp_path / "client-secret"),
    }
    done = subprocess.run([sys.executable, "-c", LOADED], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == [
        "PlatformSecurityManager",
        "airflow",
        "s3cret",
        {"scope": "openid profile email groups", "code_challenge_method": "S256"},
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"oidc": {"issuer": "https://login.example.com"}},
            "ERROR: oidc.issuer is https://login.example.com: oidc.clientId and oidc.clientSecretName are required "
            "too. Set both.",
        ),
        (
            {"oidc": OIDC, "airflow": {"enabled": False, "serviceAccounts": [{"namespace": "data", "name": "worker"}]}},
            "ERROR: oidc.issuer is set: the values under oidc configure FabAuthManager in the chart's own Airflow "
            "only. Remove oidc.issuer, and configure login in your auth manager or in your own Airflow.",
        ),
    ],
)
def test_incomplete_oidc_values_are_refused(values: Object, message: str) -> None:
    assert render_errors(values) == [message]
