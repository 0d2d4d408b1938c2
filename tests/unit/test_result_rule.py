"""A pod in which the kubelet cannot report a result is refused."""

from __future__ import annotations

from typing import Any

import pytest

from kpo_platform.pod.xcom import ResultMode
from unit.support.contracts import TEAM
from unit.support.pod_checks import list_refusals, override_base, override_spec

FILE = "/airflow/xcom/return.json"
LEAVE_OUT = 'Leave it out, or set xcom="sidecar".'


def list_of_message(pod: dict[str, Any], **options: Any) -> list[str]:
    return list_refusals(pod, result_mode="message", **options)


def build_containers(count: int) -> dict[str, Any]:
    return override_spec(containers=[{"name": f"c{number}", "image": "a:1"} for number in range(count - 1)])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"terminationMessagePath": "/dev/termination-log"},
            "terminationMessagePath of container 'base' is '/dev/termination-log', but the task's result requires "
            f"{FILE!r}. {LEAVE_OUT}",
        ),
        (
            {"terminationMessagePath": None},
            f"terminationMessagePath of container 'base' is None, but the task's result requires {FILE!r}. {LEAVE_OUT}",
        ),
        (
            {"terminationMessagePolicy": "FallbackToLogsOnError"},
            "terminationMessagePolicy of container 'base' is 'FallbackToLogsOnError', but the task's result requires "
            f"'File'. {LEAVE_OUT}",
        ),
        *(
            (
                {"volumeMounts": [{"name": "work", "mountPath": path}]},
                f"A volume is mounted at {path!r}, where the task writes its result. Mount the volume at another path.",
            )
            for path in ("/airflow/xcom", "/airflow/xcom/", "//airflow/xcom", "airflow/xcom", "/airflow/./xcom", FILE)
        ),
    ],
)
def test_field_that_hides_the_result_is_refused(fields: dict[str, Any], said: str):
    assert list_of_message(override_base(**fields)) == [said]
    assert list_refusals(override_base(**fields)) == []


def test_volume_of_the_team_where_the_result_is_written_is_refused():
    volume = {**TEAM["volumes"][0], "mountPath": "/airflow/xcom"}
    assert list_of_message({}, volumes=[volume]) == [
        "A volume is mounted at '/airflow/xcom', where the task writes its result. Mount the volume at another path."
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"terminationMessagePath": FILE, "terminationMessagePolicy": "File"},
        {"volumeMounts": [{"name": "work", "mountPath": "/airflow/xcoms"}]},
        {"volumeMounts": [{"name": "work", "mountPath": "/airflow"}]},
    ],
    ids=str,
)
def test_other_field_is_accepted(fields: dict[str, Any]):
    assert list_of_message(override_base(**fields)) == []


READ_ONLY: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"emptyDir": {}}, {"readOnly": True}),
    ({"persistentVolumeClaim": {"claimName": "c", "readOnly": True}}, {}),
    ({"configMap": {"name": "c"}}, {}),
    ({"secret": {"secretName": "s"}}, {"readOnly": False}),
    ({"projected": {"sources": []}}, {}),
    ({"downwardAPI": {"items": []}}, {}),
]


def mount_volume(source: dict[str, Any], path: str, **mount: Any) -> dict[str, Any]:
    base = {"name": "base", "volumeMounts": [{"name": "v", "mountPath": path, **mount}]}
    return override_spec(containers=[base], volumes=[{"name": "v", **source}])


@pytest.mark.parametrize("path", ["/airflow", "/airflow/", "airflow", "/"])
@pytest.mark.parametrize(("source", "mount"), READ_ONLY, ids=str)
def test_read_only_volume_around_the_result_is_refused(source: dict[str, Any], mount: dict[str, Any], path: str):
    pod = mount_volume(source, path, **mount)
    assert list_of_message(pod) == [
        f"A read-only volume is mounted at {path!r}, where the file of the task's result cannot be created. "
        "Mount the volume at another path."
    ]
    assert list_refusals(pod) == []


@pytest.mark.parametrize("path", ["/airflow/xcom/sub", "/airflows", "/air", "/data"])
@pytest.mark.parametrize(("source", "mount"), READ_ONLY, ids=str)
def test_read_only_volume_elsewhere_is_accepted(source: dict[str, Any], mount: dict[str, Any], path: str):
    assert list_of_message(mount_volume(source, path, **mount)) == []


@pytest.mark.parametrize("source", [{"emptyDir": {}}, {"persistentVolumeClaim": {"claimName": "c"}}], ids=str)
@pytest.mark.parametrize("mount", [{}, {"readOnly": False}], ids=str)
def test_writable_volume_around_the_result_is_accepted(source: dict[str, Any], mount: dict[str, Any]):
    assert list_of_message(mount_volume(source, "/airflow", **mount)) == []


def test_volume_whose_name_is_a_template_is_checked_when_it_is_rendered():
    pod = mount_volume({"configMap": {"name": "c"}}, "/airflow")
    pod["spec"]["volumes"][0]["name"] = pod["spec"]["containers"][0]["volumeMounts"][0]["name"] = "{{ params.name }}"
    refused = [line.startswith("A read-only volume") for line in list_of_message(pod)]
    assert (list_of_message(pod, rendered=False), any(refused)) == ([], True)


@pytest.mark.parametrize("mounts", [None, [{"name": "v", "mountPath": 5}], [{"name": "v"}]], ids=str)
def test_malformed_mount_is_left_to_other_rules(mounts: Any):
    pod = override_base(volumeMounts=mounts)
    assert list_of_message(pod) == list_refusals(pod)


@pytest.mark.parametrize("field", ["terminationMessagePath", "terminationMessagePolicy"])
def test_template_is_refused_only_when_it_is_rendered(field: str):
    pod = override_base(**{field: "{{ params.field }}"})
    assert list_of_message(pod, rendered=False) == []
    (said,) = list_of_message(pod)
    assert said.startswith(f"{field} of container 'base' is '{{{{ params.field }}}}', but the task's result requires ")


@pytest.mark.parametrize("mode", ["", "sidecar"])
def test_file_of_a_message_is_refused_without_a_message(mode: ResultMode):
    pod = override_base(terminationMessagePath=FILE)
    assert list_refusals(pod, result_mode=mode) == [
        f"terminationMessagePath of container 'base' is {FILE!r}, which is reserved for xcom=\"message\". Leave it out."
    ]


def test_pod_with_many_containers_is_refused():
    assert list_of_message(build_containers(12)) == []
    assert list_of_message(build_containers(13)) == [
        "The pod has so many containers that Kubernetes reports at most 944 bytes of the task's result, but 1023 are "
        'required. Use fewer containers, or set xcom="sidecar".'
    ]
