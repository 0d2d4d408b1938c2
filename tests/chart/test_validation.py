"""Values that cannot be are refused before anything is installed, in words that say what to do."""

from __future__ import annotations

import pytest

from chart.rendering import Object, render, render_errors


@pytest.mark.parametrize("name", ["Alpha", "data_team", "-alpha", "alpha-", "a" * 41])
def test_a_team_s_name_that_is_no_dns_label_is_refused(name: str) -> None:
    assert render_errors({"teams": {name: {}}}) == [
        f"ERROR: teams.{name}: a team's name is at most 40 lower-case letters, digits and dashes, "
        "with no dash at either end; rename the team."
    ]


def test_two_teams_in_one_namespace_are_refused() -> None:
    assert render_errors({"teams": {"alpha": {"namespace": "data"}, "beta": {"namespace": "data"}}}) == [
        "ERROR: teams.alpha and teams.beta both have the namespace data; give each team its own."
    ]


def test_a_team_in_the_release_s_namespace_is_refused() -> None:
    assert render_errors({"teams": {"alpha": {"namespace": "airflow"}}}) == [
        "ERROR: teams.alpha has the release's own namespace airflow; choose another namespace."
    ]


@pytest.mark.parametrize("namespace", ["default", "kube-system"])
def test_a_team_in_a_namespace_of_kubernetes_itself_is_refused(namespace: str) -> None:
    assert render_errors({"teams": {"alpha": {"namespace": namespace, "createNamespace": False}}}) == [
        f"ERROR: teams.alpha has the namespace {namespace}, where what is not the team's runs and would be shut in "
        "with it; choose another namespace."
    ]


def test_an_executor_among_airflow_s_settings_is_refused() -> None:
    assert render_errors({"config": {"core": {"executor": "CeleryExecutor"}}}) == [
        "ERROR: config.core.executor is CeleryExecutor, but what an executor needs would not be installed; "
        "set executor instead."
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
def test_a_secret_among_airflow_s_settings_is_refused_and_not_repeated(section: str, key: str, instead: str) -> None:
    assert render_errors({"config": {section: {key: "hunter2"}}}) == [
        f"ERROR: config.{section}.{key} is a secret, and everybody who reads the release would see it; "
        f"put it into a Secret and name that in {instead}."
    ]


@pytest.mark.parametrize(
    ("team", "sentence"),
    [
        ({"template": "gpu"}, "template is gpu, but the chart's templates are default, git-script."),
        ({"defaultSize": "huge"}, "defaultSize is huge, but the team's sizes are large, medium, small."),
        ({"sidecars": ["proxy"]}, "sidecars names proxy, but the chart's sidecars are git-sync, log-shipper."),
    ],
)
def test_what_a_team_names_has_to_exist(team: Object, sentence: str) -> None:
    assert render_errors({"teams": {"alpha": team}}) == [f"ERROR: teams.alpha.{sentence}"]


@pytest.mark.parametrize(
    "rule", [{}, {"ports": []}, {"to": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP"}]}]
)
def test_a_way_out_without_a_port_is_refused(rule: Object) -> None:
    open_one = {"ports": [{"port": 443}]}
    assert render_errors({"teams": {"alpha": {"network": {"egress": [open_one, rule]}}}}) == [
        "ERROR: teams.alpha.network.egress[1] names no port, which opens all of them; "
        "give it `ports`, each with a `port`."
    ]


@pytest.mark.parametrize("key", ["memory", "requests.memory", "limits.memory"])
def test_a_quota_below_the_default_size_is_refused(key: str) -> None:
    sizes = {"medium": None, "large": None}
    assert render_errors({"teams": {"alpha": {"quota": {key: "128M"}, "sizes": sizes}}}) == [
        f"ERROR: teams.alpha.sizes.small asks for memory 256Mi, but quota.{key} is 128M; "
        "no task could start; raise it or choose a smaller defaultSize."
    ]


@pytest.mark.parametrize(
    ("allowed", "sentence"),
    [
        ({"quota": {"limits.cpu": 1}}, "cpu 2, but quota.limits.cpu is 1"),
        ({"quota": {"cpu": "1999m"}}, "cpu 2, but quota.cpu is 1999m"),
        ({"limits": {"max": {"memory": "3Gi"}}}, "memory 4Gi, but limits.max.memory is 3Gi"),
    ],
)
def test_a_size_over_what_the_team_may_use_is_refused(allowed: Object, sentence: str) -> None:
    assert render_errors({"teams": {"alpha": allowed}}) == [
        f"ERROR: teams.alpha.sizes.large asks for {sentence}; raise it, make the size smaller, or set the size to null."
    ]


def test_a_size_with_more_gpus_and_space_than_the_quota_is_refused() -> None:
    sizes = {"gpu": {"cpu": "1", "memory": "1Gi", "gpu": 2, "ephemeralStorage": "2Gi"}}
    quota = {"requests.nvidia.com/gpu": 1, "requests.ephemeral-storage": "1Gi"}
    gpu = "ERROR: teams.alpha.sizes.gpu asks for"
    remedy = "raise it, make the size smaller, or set the size to null."
    assert render_errors({"teams": {"alpha": {"sizes": sizes, "quota": quota}}}) == [
        f"{gpu} ephemeral-storage 2Gi, but quota.requests.ephemeral-storage is 1Gi; {remedy}",
        f"{gpu} nvidia.com/gpu 2, but quota.requests.nvidia.com/gpu is 1; {remedy}",
    ]


def test_a_default_limit_over_the_greatest_is_refused() -> None:
    limits = {"default": {"cpu": "3"}, "max": {"cpu": "2"}}
    assert render_errors({"teams": {"alpha": {"limits": limits}}}) == [
        "ERROR: teams.alpha.limits.default asks for cpu 3, but limits.max.cpu is 2; raise it or lower the default."
    ]


def test_a_required_label_that_a_team_lacks_is_refused() -> None:
    teams = {"alpha": {"labels": {"cost-centre": "7"}}, "beta": {}}
    assert render_errors({"labelPolicy": {"cost-centre": "required"}, "teams": teams}) == [
        "ERROR: teams.beta.labels lacks cost-centre, which labelPolicy requires; "
        "set it there or in teamDefaults.labels."
    ]


def test_a_fixed_label_that_a_team_overrides_is_refused() -> None:
    values = {
        "labelPolicy": {"zone": "fixed", "stage": "free"},
        "teamDefaults": {"labels": {"zone": "eu", "stage": "test"}},
        "teams": {"alpha": {"labels": {"zone": "us", "stage": "prod"}}, "beta": {"labels": {"zone": "eu"}}},
    }
    assert render_errors(values) == [
        "ERROR: teams.alpha.labels sets zone to us, but labelPolicy fixes it to the eu of teamDefaults.labels; "
        "leave it out."
    ]


@pytest.mark.parametrize(("field", "one", "other"), [("mode", "inCluster", "remote"), ("via", "api", "env")])
def test_one_connection_that_two_teams_want_differently_is_refused(field: str, one: str, other: str) -> None:
    teams = {"alpha": {}, "beta": {"connection": {field: other}}, "gamma": {"connection": {"id": "far", field: other}}}
    assert render_errors({"teams": teams}) == [
        f"ERROR: teams.beta.connection.{field} is {other}, but teams.alpha has the same connection k8s_default with "
        f"{one}; give one of them another connection.id."
    ]


def test_a_password_in_a_repository_s_address_is_refused_and_not_repeated() -> None:
    assert render_errors({"teams": {"alpha": {"dags": {"repo": "https://bot:hunter2@git.example/alpha.git"}}}}) == [
        "ERROR: teams.alpha.dags.repo has a password in it, which everybody who reads the release would see; "
        "put it into a Secret and name that in dags.credentialsSecret."
    ]


@pytest.mark.parametrize("repo", ["git.example/alpha.git", "alpha", "git@git.example", "https://"])
def test_an_address_that_git_cannot_follow_is_refused(repo: str) -> None:
    says = f"is {repo}, which says no way to it; write https://HOST/PATH or git@HOST:PATH."
    shared = {"gitSync": {"enabled": True, "repo": repo}}
    assert render_errors({"teams": {"alpha": {"dags": {"repo": repo}}}}) == [f"ERROR: teams.alpha.dags.repo {says}"]
    assert render_errors({"dags": shared}) == [f"ERROR: dags.gitSync.repo {says}"]


@pytest.mark.parametrize(
    "repo", ["https://git.example/alpha.git", "ssh://git@git.example:22/alpha.git", "git@git.example:data/alpha.git"]
)
def test_an_address_that_git_follows_is_taken(repo: str) -> None:
    assert render({"teams": {"alpha": {"dags": {"repo": repo}}}})


def test_two_volumes_of_one_name_or_place_are_refused() -> None:
    volumes = [
        {"name": "data", "size": "1Gi", "mountPath": "/data"},
        {"name": "data", "size": "1Gi", "mountPath": "/more"},
        {"name": "rest", "size": "1Gi", "mountPath": "/data/"},
    ]
    assert render_errors({"teams": {"alpha": {"volumes": volumes}}}) == [
        "ERROR: teams.alpha.volumes[1] has the name data, as volumes[0] has; give each its own.",
        "ERROR: teams.alpha.volumes[2] is mounted at /data/, as volumes[0] is; give each its own mountPath.",
    ]


@pytest.mark.parametrize(("name", "whose"), [("work", "the template git-script"), ("xcom", "Airflow's XCom")])
def test_a_volume_with_the_name_of_one_that_pods_have_anyway_is_refused(name: str, whose: str) -> None:
    volume = {"name": name, "size": "1Gi", "mountPath": "/data"}
    assert render_errors({"teams": {"alpha": {"volumes": [volume]}}}) == [
        f"ERROR: teams.alpha.volumes[0] has the name {name}, which {whose} gives a volume of its own; "
        "choose another name."
    ]


def test_credentials_for_a_repository_that_takes_none_are_refused() -> None:
    dags = {"repo": "git://git.example/alpha.git", "credentialsSecret": "alpha-git"}
    assert render_errors({"teams": {"alpha": {"dags": dags}}}) == [
        "ERROR: teams.alpha.dags.credentialsSecret is alpha-git, but a git:// repository takes no credentials; "
        "give dags.repo by https or ssh, or leave the secret out."
    ]


@pytest.mark.parametrize("key", ["pods", "count/pods"])
def test_a_pool_with_more_slots_than_the_quota_has_pods_is_refused(key: str) -> None:
    assert render_errors({"teams": {"alpha": {"quota": {key: 20}, "pool": {"slots": 21}}}}) == [
        f"ERROR: teams.alpha.pool.slots is 21, but quota.{key} is 20; Kubernetes would refuse the pods beyond it; "
        "raise the quota, or leave the slots out."
    ]


SETTLED: Object = {"host": "db.example", "passwordSecretName": "mine"}


@pytest.mark.parametrize(
    ("embedded", "data", "sentence"),
    [
        (
            False,
            {},
            "ERROR: postgresql.enabled is false and data names no database, so Airflow has none; set "
            "data.metadataConnection.host, or name a secret with the key `connection` in data.metadataSecretName.",
        ),
        (
            True,
            {"metadataSecretName": "mine"},
            "ERROR: data.metadataSecretName names a database while postgresql.enabled is true; "
            "set postgresql.enabled to false.",
        ),
        (
            True,
            {"metadataConnection": SETTLED},
            "ERROR: data.metadataConnection.host names a database while postgresql.enabled is true; "
            "set postgresql.enabled to false.",
        ),
        (
            False,
            {"metadataConnection": SETTLED, "metadataSecretName": "mine"},
            "ERROR: data.metadataSecretName and data.metadataConnection.host both name a database; "
            "leave one of them out.",
        ),
        (
            False,
            {"metadataConnection": {"host": "db.example"}},
            "ERROR: data.metadataConnection has a host and no passwordSecretName; "
            "name a secret whose key `password` is the password of its user.",
        ),
    ],
    ids=["none", "one too many", "one too many, in parts", "two ways", "no password"],
)
def test_airflow_has_exactly_one_database(embedded: bool, data: Object, sentence: str) -> None:
    assert render_errors({"postgresql": {"enabled": embedded}, "data": data}) == [sentence]


def test_all_mistakes_are_reported_at_once() -> None:
    values = {"postgresql": {"enabled": False}, "teams": {"alpha": {"template": "gpu", "defaultSize": "huge"}}}
    assert len(render_errors(values)) == 3


@pytest.mark.parametrize("on", [True, "True", "t", 1])
def test_teams_of_airflow_are_refused_with_an_auth_manager_that_knows_none(on: object) -> None:
    assert render_errors({"config": {"core": {"multi_team": on}}}) == [
        "ERROR: config.core.multi_team is on, but FabAuthManager knows no teams of Airflow's and the API server would "
        "not start; name another config.core.auth_manager, or leave multi_team out: the teams of this platform do "
        "not need it."
    ]


def test_teams_of_airflow_are_taken_with_another_auth_manager_and_when_they_are_off() -> None:
    assert render({"config": {"core": {"multi_team": True, "auth_manager": "ours.TeamAuthManager"}}})
    assert render({"config": {"core": {"multi_team": False}}})
