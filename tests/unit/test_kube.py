"""kube: the requests of the client, and the messages of its errors."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kpo_platform.errors import ClusterError, Conflict, ContractError, Forbidden, NotFound, Unreachable
from kpo_platform.kube import CONFIG_MAP, SECRET, STORAGE_CLASS, Deadline, Kube, read_contract
from unit.support.contracts import CONTRACT, build_contract
from unit.support.http_server import Answer, Request, serving, status

CLAIM = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"namespace": "team-alpha", "name": "data"}}


def get_error(answer: Answer, directory: Path) -> ClusterError:
    with serving(lambda _: answer) as server, pytest.raises(ClusterError) as error:
        Kube.connect(server.kubeconfig(directory), None, 10).get(SECRET, "regcred", "team-alpha")
    return error.value


def test_get_requests_the_objects_path_with_the_kubeconfigs_token(tmp_path: Path):
    with serving(lambda _: (200, {"kind": "StorageClass"})) as server:
        kube = Kube.connect(server.kubeconfig(tmp_path), None, 10)
        assert kube.get(STORAGE_CLASS, "local-path") == {"kind": "StorageClass"}
    assert server.seen == [Request("GET", "/apis/storage.k8s.io/v1/storageclasses/local-path")]
    assert server.seen[0].headers["authorization"] == "Bearer token-of-the-test"


def test_list_objects_sends_the_label_selector(tmp_path: Path):
    with serving(lambda _: (200, {"items": [{"kind": "ConfigMap"}]})) as server:
        objects = Kube.connect(server.kubeconfig(tmp_path), None, 10).list_objects(CONFIG_MAP, "airflow", "a=b")
    assert objects == [{"kind": "ConfigMap"}]
    assert server.seen == [Request("GET", "/api/v1/namespaces/airflow/configmaps?labelSelector=a%3Db")]


@pytest.mark.parametrize(("dry_run", "query"), [(False, ""), (True, "&dryRun=All")])
def test_apply_is_server_side_and_does_not_force_conflicts(tmp_path: Path, dry_run: bool, query: str):
    with serving(lambda request: (200, request.body)) as server:
        Kube.connect(server.kubeconfig(tmp_path), None, 10).apply(CLAIM, dry_run=dry_run)
    path = "/api/v1/namespaces/team-alpha/persistentvolumeclaims/data?fieldManager=platformctl&force=false"
    assert server.seen == [Request("PATCH", path + query, CLAIM)]
    assert server.seen[0].headers["content-type"] == "application/apply-patch+yaml"


FORCE_APPLY = "kubectl apply --server-side --force-conflicts --field-manager=platformctl -f -"
HELD = 'Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .data..dockerconfigjson'


@pytest.mark.parametrize(
    ("kind", "message", "fix"),
    [
        ("Secret", HELD, "kubectl -n team-alpha delete secret it, and run bootstrap again."),
        ("PersistentVolumeClaim", HELD, "echo 'BODY' | " + FORCE_APPLY),
        ("Secret", "the object has been modified", ""),
    ],
)
def test_apply_conflict_tells_how_to_overwrite_the_fields(tmp_path: Path, kind: str, message: str, fix: str):
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"namespace": "team-alpha", "name": "it"}}
    with serving(lambda _: status(409, message)) as server, pytest.raises(Conflict) as error:
        Kube.connect(server.kubeconfig(tmp_path), None, 10).apply(body)
    refusal = f"The API server refused to create or patch {kind.lower()}s/it in namespace team-alpha: {message}"
    instruction = f". To overwrite the other manager's fields, run: {fix}" if fix else ". Run the command again."
    assert str(error.value) == refusal + instruction.replace("BODY", json.dumps(body, separators=(",", ":")))


def test_missing_right_names_verb_resource_and_namespace(tmp_path: Path):
    message = 'secrets "regcred" is forbidden: User "eve" cannot get resource "secrets" in API group ""'
    error = get_error(status(403, message), tmp_path)
    assert type(error) is Forbidden
    assert str(error) == (
        f"Cannot get secrets/regcred in namespace team-alpha: {message}. "
        "Ask for the rights of rbac/bootstrap-operator*.yaml."
    )


@pytest.mark.parametrize(
    "message",
    [
        "exceeded quota: team, requested: storage=9Gi",
        'admission webhook "policy.test" denied the request: User "eve" cannot use latest',
    ],
)
def test_admission_error_is_not_a_missing_right(tmp_path: Path, message: str):
    error = get_error(status(403, message), tmp_path)
    assert type(error) is ClusterError
    assert str(error) == (
        f"The API server refused to get secrets/regcred in namespace team-alpha: {message}. "
        "Remove this cause, and run the command again."
    )


def test_rejected_credentials_tell_to_log_in_again(tmp_path: Path):
    error = get_error(status(401, "Unauthorized"), tmp_path)
    assert "rejected your credentials" in str(error) and "Log in again" in str(error)


def test_missing_object_raises_not_found(tmp_path: Path):
    error = get_error(status(404, 'secrets "regcred" not found'), tmp_path)
    assert type(error) is NotFound
    assert str(error) == (
        'Cannot get secrets/regcred in namespace team-alpha: secrets "regcred" not found. '
        "Check the name and the namespace."
    )


def test_answer_without_a_status_object_names_the_http_status(tmp_path: Path):
    assert str(get_error((502, "proxy"), tmp_path)) == (
        "The API server refused to get secrets/regcred in namespace team-alpha: HTTP 502. Run the command again later."
    )


def test_closed_port_raises_unreachable_at_once_without_log(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    with serving(lambda _: (200, {})) as server:
        file = server.kubeconfig(tmp_path)
    before = time.monotonic()
    with pytest.raises(Unreachable) as error:
        Kube.connect(file, None, 10).list_objects(CONFIG_MAP, "airflow")
    assert time.monotonic() - before < 2 and caplog.messages == []
    assert str(error.value) == (
        f"No answer from the API server {server.url} to: list configmaps in namespace airflow "
        "(Connection refused). Check that the cluster is up, and check --kubeconfig and --context."
    )


def test_silent_server_raises_unreachable_after_the_timeout(tmp_path: Path):
    def slow(_: Request) -> Answer:
        time.sleep(2)
        return 200, {}

    with serving(slow) as server, pytest.raises(Unreachable, match=r"\(timed out\)"):
        Kube.connect(server.kubeconfig(tmp_path), None, 0.5).list_objects(CONFIG_MAP, "airflow")


def test_no_request_is_sent_after_the_deadline(tmp_path: Path):
    with serving(lambda _: (200, {})) as server:
        kube = Kube.connect(server.kubeconfig(tmp_path), None, 0)
        with pytest.raises(Unreachable, match="Cannot list configmaps in namespace airflow: the timeout"):
            kube.list_objects(CONFIG_MAP, "airflow")
    assert server.seen == []


def test_paused_deadline_is_postponed():
    deadline = Deadline(10)
    with deadline.pause():
        time.sleep(0.2)
    assert deadline.remaining_seconds() > 9.9


PLACE = '"FILE", line 1, column 2'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "Invalid kube-config file. No configuration found"),
        ("no kubeconfig", "the file holds no kubeconfig"),
        ("{}", "Invalid kube-config file. Expected key current-context in FILE"),
        ("[", f"while parsing a flow node expected the node content, but found '<stream end>' in {PLACE}"),
    ],
)
def test_invalid_kubeconfig_is_named_with_the_cause(tmp_path: Path, content: str | None, why: str):
    file = tmp_path / "config"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ClusterError) as error:
        Kube.connect(str(file), None, 10)
    assert str(error.value).replace(str(file), "FILE") == (
        f"Cannot use kubeconfig FILE: {why}. Pass a kubeconfig with --kubeconfig or KUBECONFIG, "
        "and one of its contexts with --context."
    )


def test_missing_context_is_named(tmp_path: Path):
    with serving(lambda _: (200, {})) as server, pytest.raises(ClusterError, match="object with name nowhere"):
        Kube.connect(server.kubeconfig(tmp_path), "nowhere", 10)


def service_with_pod(ready: str) -> Callable[[Request], Answer]:
    """A Service with one pod; port forwarding to it is forbidden."""
    pod = {
        "metadata": {"name": "api-1"},
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }

    def answer(request: Request) -> Answer:
        if "/services/" in request.path:
            return 200, {"spec": {"selector": {"app": "api"}, "ports": [{"port": 80, "targetPort": "http"}]}}
        return status(403, "no") if "/portforward" in request.path else (200, {"items": [pod]})

    return answer


def test_port_forward_without_a_ready_pod_raises(tmp_path: Path):
    with serving(service_with_pod(ready="False")) as server, pytest.raises(ClusterError) as error:
        Kube.connect(server.kubeconfig(tmp_path), None, 10).port_forward("api", "airflow", 80)
    assert str(error.value) == ("No pod of Service airflow/api is ready. See kubectl -n airflow get pods -l app=api")


def test_forbidden_port_forward_names_the_verbs_get_and_create(tmp_path: Path):
    with serving(service_with_pod(ready="True")) as server, pytest.raises(Forbidden) as error:
        Kube.connect(server.kubeconfig(tmp_path), None, 10).port_forward("api", "airflow", 80)
    assert server.seen[-1] == Request("GET", "/api/v1/namespaces/airflow/pods/api-1/portforward?ports=8080")
    assert server.seen[-1].headers["authorization"] == "Bearer token-of-the-test"
    assert str(error.value) == (
        "Cannot get and create pods/portforward in namespace airflow: forbidden. "
        "Ask for the rights of rbac/bootstrap-operator*.yaml."
    )


def answer_contracts(*texts: str) -> Answer:
    config_maps = [{"metadata": {"name": f"c{n}"}, "data": {"contract.json": text}} for n, text in enumerate(texts)]
    return 200, {"items": config_maps}


def test_contract_is_read_from_the_labelled_config_map(tmp_path: Path):
    text = build_contract().model_dump_json(by_alias=True)
    with serving(lambda _: answer_contracts(text)) as server:
        assert read_contract(Kube.connect(server.kubeconfig(tmp_path), None, 10), "airflow") == build_contract()
    labels = "app.kubernetes.io%2Fpart-of%3Dkpo-platform%2Capp.kubernetes.io%2Fcomponent%3Dcontract"
    assert server.seen == [Request("GET", f"/api/v1/namespaces/airflow/configmaps?labelSelector={labels}")]


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ((), "Namespace airflow of {url} has no contract. Check with helm list"),
        ((str(CONTRACT), str(CONTRACT)), "Namespace airflow has several contracts (c0, c1)."),
    ],
)
def test_none_or_several_contracts_raise(tmp_path: Path, texts: tuple[str, ...], sentence: str):
    with serving(lambda _: answer_contracts(*texts)) as server, pytest.raises(ContractError) as error:
        read_contract(Kube.connect(server.kubeconfig(tmp_path), None, 10), "airflow")
    assert str(error.value).startswith(sentence.format(url=server.url))


def test_kubeconfig_with_an_invalid_certificate_is_refused_without_its_text():
    content = {
        "clusters": [
            {"name": "it", "cluster": {"server": "https://it.test", "certificate-authority-data": "c2VjcmV0=A"}}
        ],
        "users": [{"name": "it", "user": {}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    }
    with pytest.raises(ClusterError) as error:
        Kube.from_kubeconfig(content, 10)
    assert str(error.value) == (
        "Cannot use the kubeconfig: its certificate, key or token is invalid. Log in again, or name another kubeconfig."
    )


def test_call_after_the_deadline_of_the_command_is_unreachable(tmp_path: Path):
    with serving(lambda _: (200, {})) as server:
        kube = Kube.connect(server.kubeconfig(tmp_path), None, 0)
        with pytest.raises(Unreachable) as error:
            kube.get(SECRET, "regcred", "team-alpha")
    assert (str(error.value), server.seen) == (
        "Cannot get secrets/regcred in namespace team-alpha: the timeout of the command has passed. Raise --timeout.",
        [],
    )
