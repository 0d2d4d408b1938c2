"""Merging pods by name."""

from __future__ import annotations

from kpo_platform.pod.merge import merge


def test_containers_are_merged_by_name_at_any_position():
    lower = {"containers": [{"name": "logger", "image": "l"}, {"name": "base", "image": "old", "tty": True}]}
    higher = {"containers": [{"name": "base", "image": "new"}]}
    assert merge(lower, higher) == {
        "containers": [{"name": "logger", "image": "l"}, {"name": "base", "image": "new", "tty": True}]
    }


def test_variable_is_replaced_instead_of_merged():
    lower = {
        "env": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            {"name": "B", "value": "1"},
        ]
    }
    higher = {"env": [{"name": "A", "value": "plain"}]}
    assert merge(lower, higher) == {"env": [{"name": "A", "value": "plain"}, {"name": "B", "value": "1"}]}


def test_volume_of_the_same_name_is_replaced():
    lower = {"volumes": [{"name": "work", "emptyDir": {}}]}
    higher = {"volumes": [{"name": "work", "persistentVolumeClaim": {"claimName": "data"}}]}
    assert merge(lower, higher) == higher


def test_mounts_merge_by_path_and_ports_by_number_and_protocol():
    lower = {
        "volumeMounts": [{"name": "a", "mountPath": "/x"}],
        "ports": [{"containerPort": 80, "name": "http"}],
    }
    higher = {
        "volumeMounts": [{"name": "b", "mountPath": "/x"}, {"name": "a", "mountPath": "/y"}],
        "ports": [{"containerPort": 80, "protocol": "TCP"}, {"containerPort": 80, "protocol": "UDP"}],
    }
    assert merge(lower, higher) == {
        "volumeMounts": [{"name": "b", "mountPath": "/x"}, {"name": "a", "mountPath": "/y"}],
        "ports": [
            {"containerPort": 80, "name": "http", "protocol": "TCP"},
            {"containerPort": 80, "protocol": "UDP"},
        ],
    }


def test_tolerations_of_a_key_replace_those_of_the_lower_layer():
    first, second = ({"key": "dedicated", "value": value, "effect": "NoSchedule"} for value in ("a", "b"))
    lower = {"tolerations": [{"key": "dedicated", "operator": "Exists"}, {"key": "gpu"}]}
    assert merge(lower, {"tolerations": [first, second, first]}) == {"tolerations": [{"key": "gpu"}, first, second]}


def test_host_aliases_of_one_address_are_all_kept():
    lines = [{"ip": "192.0.2.1", "hostnames": [name]} for name in ("one", "two")]
    assert merge({"hostAliases": [{"ip": "192.0.2.1"}]}, {"hostAliases": lines}) == {"hostAliases": lines}


def test_duplicates_are_merged_without_a_lower_list():
    variables = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    higher = {"initContainers": [{"name": "i", "env": variables}, {"name": "i", "env": variables}]}
    assert merge({}, higher) == {"initContainers": [{"name": "i", "env": [{"name": "A", "value": "2"}]}]}


def test_false_zero_and_empty_override_and_none_removes():
    lower = {
        "hostNetwork": True,
        "grace": 30,
        "tolerations": [{"key": "gpu"}],
        "nodeSelector": {"a": "b", "c": "d"},
    }
    higher = {"hostNetwork": False, "grace": 0, "tolerations": [], "nodeSelector": {"a": None}}
    assert merge(lower, higher) == {
        "hostNetwork": False,
        "grace": 0,
        "tolerations": [],
        "nodeSelector": {"c": "d"},
    }


def test_env_from_is_appended_without_duplicates():
    one, two = {"secretRef": {"name": "one"}}, {"configMapRef": {"name": "two"}}
    assert merge({"envFrom": [one]}, {"envFrom": [one, two]}) == {"envFrom": [one, two]}


def test_merge_does_not_change_its_arguments():
    lower, higher = (
        {"containers": [{"name": "base", "env": []}]},
        {"containers": [{"name": "base", "tty": True}]},
    )
    merge(lower, higher)
    assert (lower, higher) == (
        {"containers": [{"name": "base", "env": []}]},
        {"containers": [{"name": "base", "tty": True}]},
    )
