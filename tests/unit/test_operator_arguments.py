"""Values of TeamPodOperator's arguments: accepted forms, and messages for refused ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from kubernetes.client import models as k8s

from kpo_platform.errors import PodError
from unit.support.contracts import Build


def refusal(build: Build, **arguments: Any) -> list[str]:
    with pytest.raises(PodError) as refused:
        build(**arguments)
    return str(refused.value).splitlines()


def test_all_reasons_are_reported_together(build: Build):
    assert refusal(build, image="busybox", imge="busybox:1.35", labels=("a",), namespace="team-beta") == [
        "imge is not an argument of TeamPodOperator. Did you mean image?",
        "labels is a tuple, but a dictionary is required. Write labels={'key': 'value'}.",
        "namespace is 'team-beta', but team 'alpha' has 'team-alpha'. Leave it out, or ask the platform team to "
        "change the team's values.",
    ]


def test_unknown_field_is_refused_with_a_similar_one(build: Build):
    override = {"spec": {"containers": [{"name": "base", "workDir": "/data"}]}}
    volumes = [{"name": "data", "persistent_volume_claim": {"claimName": "data"}}]
    assert refusal(build, pod_override=override, volumes=volumes) == [
        "pod_override.spec.containers[0] has an unknown field 'workDir'. Did you mean 'workingDir'?",
        "volumes[0] has an unknown field 'persistent_volume_claim'. Did you mean 'persistentVolumeClaim'?",
    ]


@pytest.mark.parametrize(
    ("override", "reason"),
    [
        ({"spec": {"containers": {"name": "base"}}}, "spec.containers is a dict, but a list is required."),
        ({"spec": {"containers": ["base"]}}, "spec.containers[0] is a str, but a dictionary is required."),
        ({"spec": {"securityContext": [1]}}, "spec.securityContext is a list, but a single value is required."),
        ({"spec": "none"}, "spec is a str, but a dictionary is required."),
        ({"metadata": {"labels": "a=b"}}, "metadata.labels is a str, but a dictionary is required."),
    ],
)
def test_pod_field_of_wrong_type_is_refused(build: Build, override: dict[str, Any], reason: str):
    assert refusal(build, pod_override=override) == [f"pod_override.{reason}"]


def test_full_pod_spec_without_spec_key_is_refused(build: Build):
    spec = k8s.V1PodSpec(containers=[])
    assert refusal(build, full_pod_spec=spec) == ["full_pod_spec is a V1PodSpec, but a V1Pod is required."]


def test_argument_forms_are_accepted(build: Build):
    pod = build(
        image_pull_secrets=["regcred"],
        container_resources={"limits": {"cpu": 2}, "requests": {"memory": "64Mi"}},
        labels={"stage": "test", "attempt": 1, "dry": True, "empty": None},
        env_vars={"A": "1", "B": 2, "C": False},
        volumes=[{"name": "scratch", "emptyDir": {}}, k8s.V1Volume(name="more", empty_dir={})],
        volume_mounts=[{"name": "scratch", "mountPath": "/scratch"}],
        ports=[{"containerPort": 8080}],
        env_from=[{"secretRef": {"name": "own"}}],
        configmaps=["settings"],
        tolerations=[{"key": "batch", "operator": "Exists"}],
    )
    base, spec = pod["spec"]["containers"][0], pod["spec"]
    assert spec["imagePullSecrets"] == [{"name": "regcred"}]
    assert base["resources"] == {
        "requests": {"cpu": "2", "memory": "64Mi"},
        "limits": {"cpu": "2", "memory": "128Mi"},
    }
    labels = pod["metadata"]["labels"]
    assert {name: labels[name] for name in ("stage", "attempt", "dry", "empty")} == {
        "stage": "test",
        "attempt": "1",
        "dry": "true",
        "empty": "",
    }
    assert base["env"][-3:] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "2"},
        {"name": "C", "value": "false"},
    ]
    assert spec["volumes"][-2:] == [{"name": "scratch", "emptyDir": {}}, {"name": "more", "emptyDir": {}}]
    assert base["volumeMounts"][-1] == {"name": "scratch", "mountPath": "/scratch"}
    assert base["ports"] == [{"containerPort": 8080}]
    assert base["envFrom"] == [{"secretRef": {"name": "own"}}, {"configMapRef": {"name": "settings"}}]
    assert spec["tolerations"] == [{"key": "batch", "operator": "Exists"}]


def test_pod_is_checked_at_parse_and_after_rendering(build: Build):
    from kpo_platform import TeamPodOperator

    latest = "The image 'busybox:latest' of container 'base' has no fixed version, which team 'alpha' requires. "
    latest += "Use a tag other than latest, such as name:1.2."
    assert refusal(build, image="busybox:latest") == [latest]
    task = TeamPodOperator(task_id="t", team="alpha", image="busybox:{{ params.tag }}", params={"tag": "latest"})
    task.render_template_fields({"params": {"tag": "latest"}})  # type: ignore[typeddict-item]
    with pytest.raises(AirflowFailException) as refused:
        task.build_pod_request_obj(dry_run=True)
    assert isinstance(refused.value, PodError)
    assert str(refused.value) == latest


def test_xcom_argument_is_checked_once_resolved(build: Build):
    from kpo_platform import TeamPodOperator

    with DAG("d"):
        first = TeamPodOperator(task_id="first", team="alpha", image="busybox:1.35", xcom=True)
        override = {"metadata": {"labels": {"found": first.output["x"]}}}
        second = TeamPodOperator(task_id="second", team="alpha", image=first.output, pod_override=override)
    assert second.upstream_task_ids == {"first"}
    assert first.do_xcom_push is True


WHOLE = ["labels", "env_vars", "volumes", "node_selector", "cmds", "env_from", "volume_mounts"]


@pytest.mark.parametrize("argument", WHOLE)
def test_argument_may_be_another_tasks_result(build: Build, argument: str):
    from kpo_platform import TeamPodOperator

    with DAG("d"):
        first = TeamPodOperator(task_id="first", team="alpha", image="busybox:1.35", xcom=True)
        override = {"metadata": {"labels": first.output}, "spec": {"tolerations": first.output}}
        second = TeamPodOperator(
            task_id="second", team="alpha", image="b:1", pod_override=override, **{argument: first.output}
        )
    assert second.upstream_task_ids == {"first"}


def test_mapped_task_is_checked_with_its_own_values(build: Build):
    from kpo_platform import TeamPodOperator

    with DAG("d"):
        mapped = TeamPodOperator.partial(task_id="t", team="alpha").expand(image=["busybox:1.35", "busybox"])
    assert mapped.unmap({"image": "busybox:1.35"}).image == "busybox:1.35"
    with pytest.raises(
        PodError, match=r"^The image 'busybox' of container 'base' has no fixed version, which team 'alpha' requires"
    ):
        mapped.unmap({"image": "busybox"})


def test_own_template_file_wins_over_the_platforms(build: Build, tmp_path: Path):
    file = tmp_path / "own.yaml"
    file.write_text("spec: {containers: [{name: aside, image: 'a:1'}, {name: base, image: 'b:1', tty: true}]}")
    pod = build(image=None, pod_template_file=str(file))
    assert [(one["name"], one["image"]) for one in pod["spec"]["containers"]] == [("base", "b:1"), ("aside", "a:1")]
    assert pod["spec"]["containers"][0]["tty"] is True
    assert pod["spec"]["securityContext"]["fsGroup"] == 50000


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "cannot be read: No such file or directory. Check the path, or select one of the platform's "),
        ("[", "is not valid YAML: while parsing a flow node. Correct the file."),
        ("a", "contains no pod. Write a v1 Pod in YAML."),
    ],
)
def test_template_file_without_a_pod_is_refused(build: Build, tmp_path: Path, text: str | None, reason: str):
    file = tmp_path / "own.yaml"
    if text:
        file.write_text(text)
    tail = "templates: template='default'." if text is None else ""
    assert refusal(build, pod_template_file=str(file)) == [f"pod_template_file={str(file)!r} {reason}{tail}"]


def test_typo_in_a_template_file_is_refused(build: Build, tmp_path: Path):
    file = tmp_path / "own.yaml"
    file.write_text("spec: {containers: [{name: base, imagePolicy: Always}]}")
    assert refusal(build, pod_template_file=str(file)) == [
        f"{file}.spec.containers[0] has an unknown field 'imagePolicy'. Did you mean 'imagePullPolicy'?"
    ]


def test_variables_rendered_to_a_string_are_refused(build: Build):
    from kpo_platform import TeamPodOperator

    task = TeamPodOperator(task_id="t", team="alpha", image="b:1", env_vars="{{ found }}")
    task.render_template_fields({"found": {"A": "1"}})  # type: ignore[typeddict-unknown-key]
    with pytest.raises(PodError) as refused:
        task.build_pod_request_obj(dry_run=True)
    assert str(refused.value) == (
        "env_vars was rendered to a str, but a dictionary or a list is required. Pass the dictionary itself, or set "
        "render_template_as_native_obj=True in the DAG."
    )
