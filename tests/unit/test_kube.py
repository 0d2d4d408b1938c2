"""The door to the Kubernetes API: what is sent, and what each failure says."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kpo_platform.errors import ClusterError, Conflict, ContractError, Forbidden, NotFound, Unreachable
from kpo_platform.kube import CONFIG_MAP, SECRET, STORAGE_CLASS, Deadline, Kube, read_contract
from unit.contracts import CONTRACT, contract
from unit.servers import Answer, Request, serving, status

CLAIM = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"namespace": "team-alpha", "name": "data"}}


def failure(answer: Answer, directory: Path) -> ClusterError:
    with serving(lambda _: answer) as server, pytest.raises(ClusterError) as error:
        Kube.connect(server.kubeconfig(directory), None, 10).get(SECRET, "regcred", "team-alpha")
    return error.value


def test_an_object_is_read_from_its_place_with_the_token_of_the_kubeconfig(tmp_path: Path):
    with serving(lambda _: (200, {"kind": "StorageClass"})) as server:
        kube = Kube.connect(server.kubeconfig(tmp_path), None, 10)
        assert kube.get(STORAGE_CLASS, "local-path") == {"kind": "StorageClass"}
    assert server.seen == [Request("GET", "/apis/storage.k8s.io/v1/storageclasses/local-path")]
    assert server.seen[0].headers["authorization"] == "Bearer token-of-the-test"


def test_a_list_asks_for_labels_and_gives_the_items(tmp_path: Path):
    with serving(lambda _: (200, {"items": [{"kind": "ConfigMap"}]})) as server:
        found = Kube.connect(server.kubeconfig(tmp_path), None, 10).list_objects(CONFIG_MAP, "airflow", "a=b")
    assert found == [{"kind": "ConfigMap"}]
    assert server.seen == [Request("GET", "/api/v1/namespaces/airflow/configmaps?labelSelector=a%3Db")]


@pytest.mark.parametrize(("dry_run", "query"), [(False, ""), (True, "&dryRun=All")])
def test_apply_is_server_side_and_takes_no_field_from_others(tmp_path: Path, dry_run: bool, query: str):
    with serving(lambda request: (200, request.body)) as server:
        Kube.connect(server.kubeconfig(tmp_path), None, 10).apply(CLAIM, dry_run=dry_run)
    path = "/api/v1/namespaces/team-alpha/persistentvolumeclaims/data?fieldManager=platformctl&force=false"
    assert server.seen == [Request("PATCH", path + query, CLAIM)]
    assert server.seen[0].headers["content-type"] == "application/apply-patch+yaml"


TAKING = "kubectl apply --server-side --force-conflicts --field-manager=platformctl -f -"
HELD = 'Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .data..dockerconfigjson'


@pytest.mark.parametrize(
    ("kind", "message", "way_out"),
    [
        ("Secret", HELD, "kubectl -n team-alpha delete secret it, and run again."),
        ("PersistentVolumeClaim", HELD, "echo 'BODY' | " + TAKING),
        ("Secret", "the object has been modified", ""),
    ],
)
def test_a_field_that_another_hand_has_set_comes_with_the_way_to_have_it_back(
    tmp_path: Path, kind: str, message: str, way_out: str
):
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"namespace": "team-alpha", "name": "it"}}
    with serving(lambda _: status(409, message)) as server, pytest.raises(Conflict) as error:
        Kube.connect(server.kubeconfig(tmp_path), None, 10).apply(body)
    refusal = f"The API server refused to create or patch {kind.lower()}s/it in namespace team-alpha: {message}"
    what_next = f". Somebody else set that; to have it as declared: {way_out}" if way_out else ""
    assert str(error.value) == refusal + what_next.replace("BODY", json.dumps(body, separators=(",", ":")))


def test_a_missing_right_names_verb_resource_and_namespace(tmp_path: Path):
    message = 'secrets "regcred" is forbidden: User "eve" cannot get resource "secrets" in API group ""'
    error = failure(status(403, message), tmp_path)
    assert type(error) is Forbidden
    assert str(error) == (
        "You may not get secrets/regcred in namespace team-alpha; "
        f"ask for the rights of rbac/bootstrap-operator*.yaml. {message}"
    )


def test_a_refusal_by_admission_is_no_missing_right(tmp_path: Path):
    error = failure(status(403, "exceeded quota: team, requested: storage=9Gi"), tmp_path)
    assert type(error) is ClusterError
    assert str(error) == (
        "The API server refused to get secrets/regcred in namespace team-alpha: "
        "exceeded quota: team, requested: storage=9Gi"
    )


def test_an_expired_sign_in_says_to_sign_in_again(tmp_path: Path):
    error = failure(status(401, "Unauthorized"), tmp_path)
    assert "does not know who you are" in str(error) and "sign in again" in str(error)


def test_an_absent_object_is_not_found(tmp_path: Path):
    error = failure(status(404, 'secrets "regcred" not found'), tmp_path)
    assert type(error) is NotFound
    assert str(error) == ('Not found: get secrets/regcred in namespace team-alpha. secrets "regcred" not found')


def test_an_answer_that_is_no_status_is_told_by_its_number(tmp_path: Path):
    assert str(failure((502, "proxy"), tmp_path)) == (
        "The API server refused to get secrets/regcred in namespace team-alpha: HTTP status 502"
    )


def test_a_server_that_is_not_there_is_unreachable_at_once_and_without_log_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with serving(lambda _: (200, {})) as server:
        file = server.kubeconfig(tmp_path)
    before = time.monotonic()
    with pytest.raises(Unreachable) as error:
        Kube.connect(file, None, 10).list_objects(CONFIG_MAP, "airflow")
    assert time.monotonic() - before < 2 and caplog.messages == []
    assert str(error.value) == (
        f"No answer from the API server {server.url} to: list configmaps in namespace airflow "
        "(Connection refused); is the cluster up, and are --kubeconfig and --context right?"
    )


def test_a_server_that_does_not_answer_is_unreachable_when_time_is_up(tmp_path: Path):
    def slow(_: Request) -> Answer:
        time.sleep(2)
        return 200, {}

    with serving(slow) as server, pytest.raises(Unreachable, match=r"\(timed out\)"):
        Kube.connect(server.kubeconfig(tmp_path), None, 0.5).list_objects(CONFIG_MAP, "airflow")


def test_nothing_is_asked_after_the_deadline(tmp_path: Path):
    with serving(lambda _: (200, {})) as server:
        kube = Kube.connect(server.kubeconfig(tmp_path), None, 0)
        with pytest.raises(Unreachable, match="Out of time before this could be asked: list configmaps"):
            kube.list_objects(CONFIG_MAP, "airflow")
    assert server.seen == []


def test_the_deadline_stands_still_while_a_person_thinks():
    deadline = Deadline(10)
    with deadline.pause():
        time.sleep(0.2)
    assert deadline.remaining_seconds() > 9.9


PLACE = '"FILE", line 1, column 2'


PLACE = '"FILE", line 1, column 2'


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "Invalid kube-config file. No configuration found"),
        ("no kubeconfig", "its content is none"),
        ("{}", "Invalid kube-config file. Expected key current-context in FILE"),
        ("[", f"while parsing a flow node expected the node content, but found '<stream end>' in {PLACE}"),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_refused_by_its_name(tmp_path: Path, content: str | None, why: str):
    file = tmp_path / "config"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ClusterError) as error:
        Kube.connect(str(file), None, 10)
    assert str(error.value).replace(str(file), "FILE") == (
        f"No way to a cluster by FILE: {why}; name a kubeconfig with --kubeconfig or KUBECONFIG, "
        "and a context of it with --context."
    )


def test_a_context_that_does_not_exist_is_named(tmp_path: Path):
    with serving(lambda _: (200, {})) as server, pytest.raises(ClusterError, match="object with name nowhere"):
        Kube.connect(server.kubeconfig(tmp_path), "nowhere", 10)


def behind_a_service(ready: str) -> Callable[[Request], Answer]:
    """A Service with one pod, of which no port may be forwarded."""
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


def test_a_service_without_a_ready_pod_has_no_port_to_forward(tmp_path: Path):
    with serving(behind_a_service(ready="False")) as server, pytest.raises(ClusterError) as error:
        Kube.connect(server.kubeconfig(tmp_path), None, 10).port_forward("api", "airflow", 80)
    assert str(error.value) == (
        "No pod of Service airflow/api is ready; look with: kubectl -n airflow get pods -l app=api"
    )


def test_a_port_that_may_not_be_forwarded_names_both_verbs_that_a_websocket_takes(tmp_path: Path):
    with serving(behind_a_service(ready="True")) as server, pytest.raises(Forbidden) as error:
        Kube.connect(server.kubeconfig(tmp_path), None, 10).port_forward("api", "airflow", 80)
    assert server.seen[-1] == Request("GET", "/api/v1/namespaces/airflow/pods/api-1/portforward?ports=8080")
    assert server.seen[-1].headers["authorization"] == "Bearer token-of-the-test"
    assert str(error.value) == (
        "You may not get and create pods/portforward in namespace airflow; "
        "ask for the rights of rbac/bootstrap-operator*.yaml."
    )


def published(*texts: str) -> Answer:
    found = [{"metadata": {"name": f"c{n}"}, "data": {"contract.json": text}} for n, text in enumerate(texts)]
    return 200, {"items": found}


def test_the_contract_is_read_from_the_configmap_that_bears_its_labels(tmp_path: Path):
    text = contract().model_dump_json(by_alias=True)
    with serving(lambda _: published(text)) as server:
        assert read_contract(Kube.connect(server.kubeconfig(tmp_path), None, 10), "airflow") == contract()
    labels = "app.kubernetes.io%2Fpart-of%3Dkpo-platform%2Capp.kubernetes.io%2Fcomponent%3Dcontract"
    assert server.seen == [Request("GET", f"/api/v1/namespaces/airflow/configmaps?labelSelector={labels}")]


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ((), "No contract in namespace airflow of {url}: is the chart installed there?"),
        ((str(CONTRACT), str(CONTRACT)), "Namespace airflow has several contracts (c0, c1);"),
    ],
)
def test_no_contract_and_several_contracts_are_refused(tmp_path: Path, texts: tuple[str, ...], sentence: str):
    with serving(lambda _: published(*texts)) as server, pytest.raises(ContractError) as error:
        read_contract(Kube.connect(server.kubeconfig(tmp_path), None, 10), "airflow")
    assert str(error.value).startswith(sentence.format(url=server.url))
