"""Rules for syntax and references of composed pods."""

from __future__ import annotations

from typing import Any

import pytest

from unit.support.contracts import CONTRACT, TEAM
from unit.support.pod_checks import list_refusals, override_base, override_env, override_spec

LABEL = "at most 63 letters, digits, '-', '_' and '.', with a letter or a digit at both ends"
VALUE = f"which Kubernetes rejects. Write a string of {LABEL}."
NAME = f"has a name that Kubernetes rejects. Use {LABEL}; a domain and '/' may precede them."
VARIABLE = "has an invalid name. Use letters, digits and '_', such as DAY_2."
IMAGE = "is not a valid image name. Write it as registry.example.com/team/name:1.2, with the name in lower case."


def override_memory_limit(value: Any) -> dict[str, Any]:
    return override_base(resources={"limits": {"memory": value}})


def override_label(key: str, value: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {key: value}}}


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("1GB", "Did you mean '1G'?"),
        ("512MiB", "Did you mean '512Mi'?"),
        ("100 M", "Did you mean '100M'?"),
        (" 1Gi", "Did you mean '1Gi'?"),
        ("64K", "Did you mean '64k'?"),
        ("64ki", "Did you mean '64Ki'?"),
        ("-1Gi", "Write it as 500m, 2, 512Mi or 1Gi."),
        ("much", "Write it as 500m, 2, 512Mi or 1Gi."),
    ],
)
def test_invalid_quantity_is_refused_with_a_suggestion(value: str, hint: str):
    sentence = f"Container 'base' requests {value!r} of memory, which is not a Kubernetes quantity. {hint}"
    assert list_refusals(override_memory_limit(value)) == [sentence]


@pytest.mark.parametrize("value", ["1Gi", "1e9", "128974848", 1000000, "1.5G", "0", "123Mi", "100000000m", "1E"])
def test_every_form_of_quantity_is_accepted(value: Any):
    assert list_refusals(override_memory_limit(value)) == []


def test_request_above_its_limit_is_refused():
    pod = override_base(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "500m"}})
    assert list_refusals(pod) == [
        "Container 'base' requests 2 of cpu, which is more than its limit of 500m. Lower the request, or raise the "
        "limit."
    ]


@pytest.mark.parametrize(
    ("pod", "sentence"),
    [
        (override_label("stage", "my test"), f"The label stage has the value 'my test', {VALUE}"),
        (override_label("stage", "-x"), f"The label stage has the value '-x', {VALUE}"),
        (override_label("stage", 64 * "a"), f"The label stage has the value {64 * 'a'!r}, {VALUE}"),
        (override_label("stage", 5), f"The label stage has the value 5, {VALUE}"),
        (override_label("my stage", "x"), f"The label 'my stage' {NAME}"),
        (override_label("Example.com/a", "x"), f"The label 'Example.com/a' {NAME}"),
        (override_label("a/b/c", "x"), f"The label 'a/b/c' {NAME}"),
        ({"metadata": {"annotations": {"my note": "any text"}}}, f"The annotation 'my note' {NAME}"),
        (override_spec(nodeSelector={"disk type": "ssd"}), f"The node label 'disk type' {NAME}"),
        (override_spec(nodeSelector={"disk": "very fast"}), f"The node label disk has the value 'very fast', {VALUE}"),
        (override_env("", "x"), f"The variable '' of container 'base' {VARIABLE}"),
        (override_env("A=B", "x"), f"The variable 'A=B' of container 'base' {VARIABLE}"),
        (override_env("GRÖSSE", "x"), f"The variable 'GRÖSSE' of container 'base' {VARIABLE}"),
        (
            override_base(env=[{"name": "A", "value": {"b": 1}}]),
            "The variable A of container 'base' is a dict, but a string is required. Write it as a string; json.dumps "
            "converts a dictionary or a list.",
        ),
        (
            override_base(command=["sh", None]),
            "The field command of container 'base' has the item None, but a list of strings is required. Write cmds "
            "as strings; a value that Jinja renders to a native object may need a filter such as '| string'.",
        ),
        (
            override_base(args=[5]),
            "The field args of container 'base' has the item 5, but a list of strings is required. Write "
            "arguments as strings; a value that Jinja renders to a native object may need a filter such as '| string'.",
        ),
        (
            override_base(args="echo"),
            "The field args of container 'base' is a str, but a list of strings is required. Write "
            "arguments as strings; a value that Jinja renders to a native object may need a filter such as '| string'.",
        ),
    ],
)
def test_invalid_syntax_is_refused(pod: dict[str, Any], sentence: str):
    assert list_refusals(pod) == [sentence]


@pytest.mark.parametrize(
    "pod",
    [
        override_label("example.com/My.stage_1", ""),
        override_label("a", "A.b-c_1"),
        {"metadata": {"annotations": {"Example.com/note": "any text, 1 + 1 = 2"}}},
        override_env("with space", "x"),
        override_env("A.b-c", "x"),
        override_base(env=[{"name": "A"}], command=["sh"], args=[""]),
    ],
)
def test_valid_syntax_is_not_refused(pod: dict[str, Any]):
    assert list_refusals(pod) == []


@pytest.mark.parametrize(
    "image",
    [
        "busy box:1.35",
        "Busybox:1.35",
        "busybox:1 35",
        " busybox:1",
        "http://a.test/b:1",
        "a//b:1",
        "a:b:1",
        "a@sha256:1",
    ],
)
def test_invalid_image_reference_is_refused(image: str):
    sentence = f"The image {image!r} of container 'base' {IMAGE}"
    assert list_refusals(override_base(image=image), images={**TEAM["images"], "pin": "none"}) == [sentence]


@pytest.mark.parametrize(
    "image",
    [
        "busybox:1.35",
        "localhost:5000/a/b_c/d--e:v1.2-rc_3",
        "[::1]:5000/a:1",
        "Registry.Example.com/a.b/c__d:1",
        "a@sha256:" + 64 * "0",
        "a.test/b:1@sha256:" + 64 * "f",
    ],
)
def test_every_form_of_image_reference_is_accepted(image: str):
    assert list_refusals(override_base(image=image)) == []


def test_mount_without_its_volume_is_refused():
    aside = {"name": "aside", "image": "a:1", "volumeMounts": [{"name": "dta", "mountPath": "/d"}]}
    pod = override_spec(containers=[{"name": "base"}], initContainers=[aside])
    assert list_refusals(pod) == [
        "Container 'aside' mounts the volume 'dta', which the pod does not have. Add it to volumes, or mount one of "
        "data, work."
    ]
    assert list_refusals({"spec": {**pod["spec"], "volumes": [{"name": "dta", "emptyDir": {}}]}}) == []


def test_syntax_of_jinja_template_is_checked_only_after_rendering():
    later = "{{ params.it }}"
    pod = override_base(
        image=f"busybox:{later}",
        args=[later],
        env=[{"name": "A", "value": later}, {"name": later, "value": "x"}],
        resources={"limits": {"memory": later}},
        volumeMounts=[{"name": later, "mountPath": "/d"}],
    )
    pod["metadata"] = {"labels": {"stage": later}}
    assert list_refusals(pod, rendered=False) == []
    assert [sentence.partition(",")[0] for sentence in list_refusals(pod)] == [
        f"The label stage has the value {later!r}",
        f"Container 'base' requests {later!r} of memory",
        f"The image 'busybox:{later}' of container 'base' is not a valid image name. Write it as "
        "registry.example.com/team/name:1.2",
        f"Container 'base' mounts the volume {later!r}",
    ]


REPOSITORY = {"name": "GITSYNC_REPO", "value": "https://git.test/a.git"}


@pytest.mark.parametrize(
    ("fields", "sentences"),
    [
        (
            {},
            [
                "The container 'git-sync' needs the variable GITSYNC_REPO, which the task does not set. Set it, for "
                "example with pod_override={'spec': {'initContainers': [{'name': 'git-sync', 'env': [{'name': "
                "'GITSYNC_REPO', 'value': '…'}]}]}}."
            ],
        ),
        ({"env": [REPOSITORY]}, []),
        ({"args": ["--repo=https://git.test/a.git"]}, []),
        ({"envFrom": [{"configMapRef": {"name": "git"}}]}, []),
        ({"image": "registry.test/a-git-sync-of-my-own:1"}, []),
    ],
    ids=["nothing", "variable", "flag", "variables of a ConfigMap", "a container of the author's own"],
)
def test_git_sync_without_repository_is_refused(
    fields: dict[str, Any], sentences: list[str], monkeypatch: pytest.MonkeyPatch
):
    image = "registry.k8s.io/git-sync/git-sync:v4.4.2"
    template = {**CONTRACT["podTemplates"]["default"], "spec": {**CONTRACT["podTemplates"]["default"]["spec"]}}
    template["spec"]["initContainers"] = [{"name": "git-sync", "image": image, "args": ["--one-time"]}]
    monkeypatch.setitem(CONTRACT["podTemplates"], "git-script", template)
    pod = override_spec(initContainers=[{"name": "git-sync", **fields}])
    assert list_refusals(pod, template="git-script") == sentences
