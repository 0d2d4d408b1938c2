"""Contradicting values are refused with messages that name cause and fix."""

from __future__ import annotations

import pytest

from chart.rendering import Object, render, render_errors


@pytest.mark.parametrize("name", ["Alpha", "data_team", "-alpha", "alpha-", "a" * 41])
def test_invalid_team_name_is_refused(name: str) -> None:
    assert render_errors({"teams": {name: {}}}) == [
        f"ERROR: teams.{name} has an invalid name: a team's name has at most 40 lower-case letters, digits and dashes, "
        "without a dash at either end. Rename the team."
    ]


def test_two_teams_with_one_namespace_are_refused() -> None:
    assert render_errors({"teams": {"alpha": {"namespace": "data"}, "beta": {"namespace": "data"}}}) == [
        "ERROR: teams.beta.namespace is data: teams.alpha has the same namespace. "
        "Give each team a namespace of its own."
    ]


def test_release_namespace_as_team_namespace_is_refused() -> None:
    assert render_errors({"teams": {"alpha": {"namespace": "airflow"}}}) == [
        "ERROR: teams.alpha.namespace is airflow: the release uses this namespace. Choose another namespace."
    ]


@pytest.mark.parametrize("namespace", ["default", "kube-system"])
def test_system_namespace_as_team_namespace_is_refused(namespace: str) -> None:
    assert render_errors({"teams": {"alpha": {"namespace": namespace, "createNamespace": False}}}) == [
        f"ERROR: teams.alpha.namespace is {namespace}: other workloads in this system namespace would be restricted "
        "too. Choose another namespace."
    ]


def test_executor_in_config_is_refused() -> None:
    assert render_errors({"config": {"core": {"executor": "CeleryExecutor"}}}) == [
        "ERROR: config.core.executor is CeleryExecutor: the chart would not install the components of this executor. "
        "Set executor instead."
    ]


@pytest.mark.parametrize(
    ("section", "key", "instead"),
    [
        ("core", "fernet_key", "fernetKeySecretName"),
        ("api_auth", "jwt_secret", "jwtSecretName"),
        ("api", "secret_key", "apiSecretKeySecretName"),
        ("database", "sql_alchemy_conn", "data.metadataSecretName"),
        ("celery", "broker_url", "data.brokerUrlSecretName"),
    ],
)
def test_secret_in_config_is_refused_without_its_value(section: str, key: str, instead: str) -> None:
    assert render_errors({"config": {section: {key: "hunter2"}}}) == [
        f"ERROR: config.{section}.{key} contains a secret: everyone who can read the release would see it. "
        f"Put the value into a Secret and name the Secret in {instead}."
    ]


@pytest.mark.parametrize(
    ("team", "message"),
    [
        (
            {"template": "gpu"},
            "template is gpu: the chart's pod templates are default, git-script. Choose one of them.",
        ),
        (
            {"defaultSize": "huge"},
            "defaultSize is huge: the team's sizes are large, medium, small. Choose one of them.",
        ),
        (
            {"sidecars": ["proxy"]},
            "sidecars contains proxy: the chart's sidecars are git-sync, log-shipper. Choose from these.",
        ),
    ],
)
def test_unknown_template_size_or_sidecar_is_refused(team: Object, message: str) -> None:
    assert render_errors({"teams": {"alpha": team}}) == [f"ERROR: teams.alpha.{message}"]


@pytest.mark.parametrize(
    "rule", [{}, {"ports": []}, {"to": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP"}]}]
)
def test_egress_rule_without_a_port_is_refused(rule: Object) -> None:
    valid_rule = {"ports": [{"port": 443}]}
    assert render_errors({"teams": {"alpha": {"network": {"egress": [valid_rule, rule]}}}}) == [
        "ERROR: teams.alpha.network.egress[1] has no port: the rule would allow all ports. "
        "Set `ports`, each with a `port`."
    ]


@pytest.mark.parametrize("key", ["memory", "requests.memory", "limits.memory"])
def test_quota_below_the_default_size_is_refused(key: str) -> None:
    sizes = {"medium": None, "large": None}
    assert render_errors({"teams": {"alpha": {"quota": {key: "128M"}, "sizes": sizes}}}) == [
        f"ERROR: teams.alpha.sizes.small has memory 256Mi: quota.{key} is 128M, so Kubernetes would reject the pods. "
        f"Raise quota.{key}, or choose a smaller defaultSize."
    ]


@pytest.mark.parametrize(
    ("team", "quantity", "field", "maximum"),
    [
        ({"quota": {"limits.cpu": 1}}, "cpu 2", "quota.limits.cpu", "1"),
        ({"quota": {"cpu": "1999m"}}, "cpu 2", "quota.cpu", "1999m"),
        ({"limits": {"max": {"memory": "3Gi"}}}, "memory 4Gi", "limits.max.memory", "3Gi"),
    ],
)
def test_size_above_quota_or_limit_is_refused(team: Object, quantity: str, field: str, maximum: str) -> None:
    assert render_errors({"teams": {"alpha": team}}) == [
        f"ERROR: teams.alpha.sizes.large has {quantity}: {field} is {maximum}, so Kubernetes would reject the pods. "
        f"Raise {field}, or reduce the size, or set the size to null."
    ]


def test_size_above_quota_of_gpus_and_storage_is_refused() -> None:
    sizes = {"gpu": {"cpu": "1", "memory": "1Gi", "gpu": 2, "ephemeralStorage": "2Gi"}}
    quota = {"requests.nvidia.com/gpu": 1, "requests.ephemeral-storage": "1Gi"}
    rejected = "so Kubernetes would reject the pods. Raise"
    remedy = "or reduce the size, or set the size to null."
    assert render_errors({"teams": {"alpha": {"sizes": sizes, "quota": quota}}}) == [
        "ERROR: teams.alpha.sizes.gpu has ephemeral-storage 2Gi: quota.requests.ephemeral-storage is 1Gi, "
        f"{rejected} quota.requests.ephemeral-storage, {remedy}",
        "ERROR: teams.alpha.sizes.gpu has nvidia.com/gpu 2: quota.requests.nvidia.com/gpu is 1, "
        f"{rejected} quota.requests.nvidia.com/gpu, {remedy}",
    ]


def test_default_limit_above_the_maximum_is_refused() -> None:
    limits = {"default": {"cpu": "3"}, "max": {"cpu": "2"}}
    assert render_errors({"teams": {"alpha": {"limits": limits}}}) == [
        "ERROR: teams.alpha.limits.default has cpu 3: limits.max.cpu is 2, so Kubernetes would reject the pods. "
        "Raise limits.max.cpu, or lower the default."
    ]


def test_missing_required_label_is_refused() -> None:
    teams = {"alpha": {"labels": {"cost-centre": "7"}}, "beta": {}}
    assert render_errors({"labelPolicy": {"cost-centre": "required"}, "teams": teams}) == [
        "ERROR: teams.beta.labels lacks cost-centre: labelPolicy requires this label. "
        "Set the label there or in teamDefaults.labels."
    ]


def test_changed_fixed_label_is_refused() -> None:
    values = {
        "labelPolicy": {"zone": "fixed", "stage": "free"},
        "teamDefaults": {"labels": {"zone": "eu", "stage": "test"}},
        "teams": {"alpha": {"labels": {"zone": "us", "stage": "prod"}}, "beta": {"labels": {"zone": "eu"}}},
    }
    assert render_errors(values) == [
        "ERROR: teams.alpha.labels sets zone to us: labelPolicy fixes this label to eu, its value in "
        "teamDefaults.labels. Remove the label."
    ]


@pytest.mark.parametrize(("field", "one", "other"), [("mode", "inCluster", "remote"), ("via", "api", "env")])
def test_connection_with_two_settings_is_refused(field: str, one: str, other: str) -> None:
    teams = {"alpha": {}, "beta": {"connection": {field: other}}, "gamma": {"connection": {"id": "far", field: other}}}
    assert render_errors({"teams": teams}) == [
        f"ERROR: teams.beta.connection.{field} is {other}: teams.alpha uses the same connection k8s_default with "
        f"{one}. Give one of the teams another connection.id."
    ]


def test_password_in_repository_url_is_refused_without_its_value() -> None:
    assert render_errors({"teams": {"alpha": {"dags": {"repo": "https://bot:hunter2@git.example/alpha.git"}}}}) == [
        "ERROR: teams.alpha.dags.repo contains a password: everyone who can read the release would see it. "
        "Put the password into a Secret and name the Secret in dags.credentialsSecret."
    ]


@pytest.mark.parametrize("repo", ["git.example/alpha.git", "alpha", "git@git.example", "https://"])
def test_invalid_repository_url_is_refused(repo: str) -> None:
    message = f"is {repo}: git cannot clone from this address. Use https://HOST/PATH or git@HOST:PATH."
    shared = {"gitSync": {"enabled": True, "repo": repo}}
    assert render_errors({"teams": {"alpha": {"dags": {"repo": repo}}}}) == [f"ERROR: teams.alpha.dags.repo {message}"]
    assert render_errors({"dags": shared}) == [f"ERROR: dags.gitSync.repo {message}"]


@pytest.mark.parametrize(
    "repo", ["https://git.example/alpha.git", "ssh://git@git.example:22/alpha.git", "git@git.example:data/alpha.git"]
)
def test_valid_repository_url_is_accepted(repo: str) -> None:
    assert render({"teams": {"alpha": {"dags": {"repo": repo}}}})


def test_volumes_with_one_name_or_path_are_refused() -> None:
    volumes = [
        {"name": "data", "size": "1Gi", "mountPath": "/data"},
        {"name": "data", "size": "1Gi", "mountPath": "/more"},
        {"name": "rest", "size": "1Gi", "mountPath": "/data/"},
    ]
    assert render_errors({"teams": {"alpha": {"volumes": volumes}}}) == [
        "ERROR: teams.alpha.volumes[1].name is data: volumes[0] has the same name. Choose another name.",
        "ERROR: teams.alpha.volumes[2].mountPath is /data/: volumes[0] has the same path. Choose another path.",
    ]


@pytest.mark.parametrize(("name", "owner"), [("work", "the template git-script"), ("xcom", "Airflow's XCom")])
def test_volume_with_a_reserved_name_is_refused(name: str, owner: str) -> None:
    volume = {"name": name, "size": "1Gi", "mountPath": "/data"}
    assert render_errors({"teams": {"alpha": {"volumes": [volume]}}}) == [
        f"ERROR: teams.alpha.volumes[0].name is {name}: {owner} has a volume of the same name. Choose another name."
    ]


def test_credentials_for_git_protocol_are_refused() -> None:
    dags = {"repo": "git://git.example/alpha.git", "credentialsSecret": "alpha-git"}
    assert render_errors({"teams": {"alpha": {"dags": dags}}}) == [
        "ERROR: teams.alpha.dags.credentialsSecret is alpha-git: the git:// protocol does not support credentials. "
        "Use https or ssh in dags.repo, or remove the Secret."
    ]


@pytest.mark.parametrize("key", ["pods", "count/pods"])
def test_pool_above_the_pod_quota_is_refused(key: str) -> None:
    assert render_errors({"teams": {"alpha": {"quota": {key: 20}, "pool": {"slots": 21}}}}) == [
        f"ERROR: teams.alpha.pool.slots is 21: quota.{key} is 20, so Kubernetes would reject further pods. "
        "Raise the quota, or remove pool.slots."
    ]


EXTERNAL_DATABASE: Object = {"host": "db.example", "passwordSecretName": "my-password"}


@pytest.mark.parametrize(
    ("embedded", "data", "message"),
    [
        (
            False,
            {},
            "ERROR: postgresql.enabled is false: no external database is configured. Set data.metadataConnection.host, "
            "or name a Secret with the key `connection` in data.metadataSecretName.",
        ),
        (
            True,
            {"metadataSecretName": "my-database"},
            "ERROR: data.metadataSecretName is set: the embedded database is enabled too. "
            "Set postgresql.enabled to false.",
        ),
        (
            True,
            {"metadataConnection": EXTERNAL_DATABASE},
            "ERROR: data.metadataConnection.host is set: the embedded database is enabled too. "
            "Set postgresql.enabled to false.",
        ),
        (
            False,
            {"metadataConnection": EXTERNAL_DATABASE, "metadataSecretName": "my-database"},
            "ERROR: data.metadataSecretName is set: data.metadataConnection.host is set too, but Airflow has one "
            "database. Remove one of the two.",
        ),
        (
            False,
            {"metadataConnection": {"host": "db.example"}},
            "ERROR: data.metadataConnection.passwordSecretName is empty: data.metadataConnection.host is set. "
            "Name a Secret whose key `password` is the password of the database user.",
        ),
    ],
    ids=["none", "embedded and URL", "embedded and host", "URL and host", "no password"],
)
def test_no_database_or_two_databases_are_refused(embedded: bool, data: Object, message: str) -> None:
    assert render_errors({"postgresql": {"enabled": embedded}, "data": data}) == [message]


def test_all_errors_are_reported_at_once() -> None:
    values = {"postgresql": {"enabled": False}, "teams": {"alpha": {"template": "gpu", "defaultSize": "huge"}}}
    assert len(render_errors(values)) == 3


@pytest.mark.parametrize("value", [True, "True", "t", 1])
def test_multi_team_mode_with_fab_auth_manager_is_refused(value: object) -> None:
    assert render_errors({"config": {"core": {"multi_team": value}}}) == [
        "ERROR: config.core.multi_team is enabled: FabAuthManager does not support Airflow's multi-team mode, so the "
        "API server would not start. Remove config.core.multi_team, which kpo-platform's teams do not need, or choose "
        "another config.core.auth_manager."
    ]


def test_multi_team_mode_with_another_auth_manager_is_accepted() -> None:
    assert render({"config": {"core": {"multi_team": True, "auth_manager": "example.TeamAuthManager"}}})
    assert render({"config": {"core": {"multi_team": False}}})
