"""Copies of deferred tasks, and what scripts/bench deferred observes of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.deferred.load.airflow_rows import replace_names
from benchmarks.deferred.load.kwok_config import NEVER, render_config, render_log
from benchmarks.deferred.load.model_task import list_names, read_dag_files
from benchmarks.deferred.load.outcome import Observations, judge, summarize
from benchmarks.deferred.load.plans import LOADS, LOSS_ROUND, LOSS_ROUNDS
from benchmarks.deferred.load.pod_copies import PodCopy, build_pod, plan_copies
from benchmarks.deferred.load.pod_ends import PodEnds
from benchmarks.deferred.load.trigger_logs import find_trigger_logs, list_fired, read_fired
from benchmarks.deferred.load.usage import Container, read_container_cpu, read_container_memory
from common.errors import ScriptError
from local_cluster.cgroups import Hierarchy

COPY = PodCopy("many-1", 7, "many-1-7", "feed", 2.5)
MODEL: dict[str, Any] = {
    "metadata": {
        "name": "work-abc",
        "namespace": "team-alpha",
        "uid": "u-model",
        "resourceVersion": "12",
        "labels": {"dag_id": "d", "run_id": "model-1", "map_index": "0", "kpo-platform/start": "cafe"},
        "annotations": {
            "kpo-platform/installation": "airflow/airflow",
            "kpo-platform/task": '{"dag_id": "d", "run_id": "model-1", "task_id": "work", "map_index": 0}',
        },
    },
    "spec": {"nodeName": "kpo-node", "containers": [{"name": "base"}]},
    "status": {"phase": "Running"},
}


def test_ends_of_copies_are_spread_evenly():
    copies = plan_copies("many-1", 4, 60.0)
    assert [(copy.index, copy.name, copy.end_after) for copy in copies] == [
        (0, "many-1-0", 15.0),
        (1, "many-1-1", 30.0),
        (2, "many-1-2", 45.0),
        (3, "many-1-3", 60.0),
    ]
    assert len({copy.start for copy in copies}) == 4


def test_copy_of_a_pod_belongs_to_another_map_index_on_the_played_node():
    task = {"dag_id": "d", "run_id": "many-1", "task_id": "work", "map_index": 7}
    assert build_pod(MODEL, COPY) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "many-1-7",
            "namespace": "team-alpha",
            "labels": {"dag_id": "d", "run_id": "many-1", "map_index": "7", "kpo-platform/start": "feed"},
            "annotations": {
                "kpo-platform/installation": "airflow/airflow",
                "kpo-platform/task": json.dumps(task),
                "kpo-platform.test/end-after": "2.5",
            },
        },
        "spec": {"nodeName": "kwok-deferred", "containers": [{"name": "base"}]},
    }


def test_copy_of_a_stock_pod_gets_no_labels_of_ours():
    labels = {"dag_id": "d", "run_id": "model-1", "map_index": "0"}
    pod = build_pod({**MODEL, "metadata": {**MODEL["metadata"], "labels": labels, "annotations": {}}}, COPY)
    assert pod["metadata"]["labels"] == {"dag_id": "d", "run_id": "many-1", "map_index": "7"}
    assert pod["metadata"]["annotations"] == {"kpo-platform.test/end-after": "2.5"}


def test_trigger_of_a_copy_waits_for_its_pod():
    names = list_names(MODEL, COPY, "u-7")
    stored = '{"pod_name": "work-abc", "pod_uid": "u-model", "start": "cafe", "links": {"pod": "/team-alpha/work-abc"}}'
    assert json.loads(replace_names(stored, names)) == {
        "pod_name": "many-1-7",
        "pod_uid": "u-7",
        "start": "feed",
        "links": {"pod": "/team-alpha/many-1-7"},
    }


def test_kwok_plays_node_and_pods_by_these_stages():
    documents = list(yaml.safe_load_all(render_config(Path("/x/log"), 1234.5)))
    assert [(document["kind"], document["metadata"]["name"]) for document in documents] == [
        ("Stage", "node-ready"),
        ("Stage", "node-heartbeat"),
        ("Stage", "pod-running"),
        ("Stage", "pod-succeeded"),
        ("Stage", "pod-deleted"),
        ("ClusterLogs", "all"),
    ]
    assert documents[3]["spec"]["delay"]["durationFrom"]["expressionFrom"] == (
        '"\\(1234.500 + (.metadata.annotations["kpo-platform.test/end-after"] | tonumber) - now)s"'
    )
    assert documents[5]["spec"] == {"logs": [{"logsFile": "/x/log"}]}


def test_time_that_does_not_come_is_no_longer_than_a_duration_of_go():
    assert NEVER * 1e9 < 2**63


def test_log_of_a_played_container_has_the_form_of_the_container_runtime():
    assert render_log(["one", "two"]) == (
        "2026-01-01T00:00:01.000000000Z stdout F one\n2026-01-01T00:00:02.000000000Z stdout F two\n"
    )


def test_dag_files_differ_in_the_engine_only():
    files = read_dag_files()
    assert sorted(files) == ["deferred_model_stock.py", "deferred_model_team.py"]
    assert files["deferred_model_stock.py"] == files["deferred_model_team.py"].replace(
        'ENGINE = "team"', 'ENGINE = "stock"'
    )


def test_two_rounds_count_the_losses_of_ten_thousand_tasks():
    assert LOSS_ROUND.pods * LOSS_ROUNDS == 10_000
    assert {name: (load.engine, load.pods) for name, load in LOADS.items()} == {
        "stock 500": ("stock", 500),
        "team 500": ("team", 500),
        "team 5000": ("team", 5000),
    }


def watch_line(kind: str, index: int, uid: str, phase: str = "Pending") -> bytes:
    metadata = {"uid": uid, "resourceVersion": f"{uid}{len(phase)}", "labels": {"map_index": str(index)}}
    return json.dumps({"type": kind, "object": {"metadata": metadata, "status": {"phase": phase}}}).encode()


def test_watch_tells_the_first_end_and_the_pods_of_each_task():
    clock = iter(range(100, 200))
    ends = PodEnds(lambda: float(next(clock)))
    for line in (
        watch_line("ADDED", 0, "a"),
        watch_line("ADDED", 1, "b"),
        watch_line("MODIFIED", 0, "a", "Running"),
        watch_line("MODIFIED", 0, "a", "Succeeded"),
        watch_line("MODIFIED", 0, "a", "Succeeded"),
        watch_line("DELETED", 0, "a", "Succeeded"),
        watch_line("ADDED", 1, "c", "Running"),
    ):
        ends.add(line)
    assert (ends.ended, ends.pods, ends.running) == ({0: 103.0}, {0: 1, 1: 2}, {0, 1})
    assert ends.version == "c7"


def test_error_of_the_watch_is_one():
    error = json.dumps({"type": "ERROR", "object": {"message": "too old resource version"}}).encode()
    with pytest.raises(ScriptError, match=r"The watch of the pods ended: too old resource version\."):
        PodEnds().add(error)


def fired_line(second: int, event: str = "Trigger fired event") -> str:
    return json.dumps({"timestamp": f"2026-11-30T01:00:{second:02}Z", "event": event, "result": {"a": event}})


def test_events_are_read_from_the_logs_of_all_triggerers(tmp_path: Path):
    folder = tmp_path / "dag_id=d" / "run_id=r" / "task_id=work"
    for index, job, lines in (
        (0, 5, [fired_line(1, "trigger d starting"), fired_line(2)]),
        (0, 6, [fired_line(3)]),
        (1, 5, ["not JSON"]),
    ):
        file = folder / f"map_index={index}" / f"attempt=1.log.trigger.{job}.log"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")
    (folder / "map_index=1" / "attempt=1.log").write_text(fired_line(4) + "\n")
    start = list_fired([fired_line(0)])[0]
    fired = {index: [time - start for time in times] for index, times in read_fired(tmp_path, "d", "r").items()}
    assert fired == {0: [2.0, 3.0], 1: []}
    assert {index: len(files) for index, files in find_trigger_logs(tmp_path, "d", "r").items()} == {0: 2, 1: 1}


def test_line_that_only_contains_the_words_is_no_event():
    assert list_fired([fired_line(1, "saw: Trigger fired event")]) == []


def test_tasks_are_judged_by_their_pods_events_and_records():
    observations = Observations(
        ended={0: 100.0, 1: 100.0, 2: 100.0, 3: 100.0},
        pods={0: 1, 1: 2, 2: 1, 3: 1, 4: 1},
        fired={0: [100.25], 1: [101.0, 102.0], 2: [170.0]},
        recorded={0: 101.0, 1: 102.0, 2: 171.0},
        states={0: ("success", 1), 1: ("success", 1), 2: ("success", 2), 3: ("deferred", 1), 4: ("deferred", 1)},
    )
    assert judge(observations) == {
        "tasks": 5,
        "states": {"success": 3, "deferred": 2},
        "seen": {"p50": 1.0, "p99": 70.0, "max": 70.0},
        "recorded": {"p50": 2.0, "p99": 71.0, "max": 71.0},
        "lost": 2,
        "doubled": 2,
        "late": 1,
    }


def test_no_times_have_no_percentiles():
    assert summarize([]) == {}


def write_cgroup(mount: Path, folder: str, **files: str) -> None:
    path = mount / "kpo-platform" / "kubepods" / folder
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / name.replace("_", ".", 1)).write_text(text)


def test_container_s_usage_is_read_with_both_versions_of_cgroups(tmp_path: Path):
    container = Container("p", "c")
    write_cgroup(tmp_path / "cpu", "burstable/podp/c", cpuacct_usage="1500000000\n")
    write_cgroup(tmp_path / "memory", "burstable/podp/c", memory_stat="rss 5\ntotal_rss 7\n")
    write_cgroup(tmp_path / "unified", "podp/c", cpu_stat="usage_usec 2500000\n", memory_stat="anon 9\nfile 3\n")
    first = [
        Hierarchy(tmp_path / "cpu", 1, frozenset({"cpu", "cpuacct"})),
        Hierarchy(tmp_path / "memory", 1, frozenset({"memory"})),
    ]
    second = [Hierarchy(tmp_path / "unified", 2, frozenset({"cpu", "memory"}))]
    usage = [(read_container_cpu(each, container), read_container_memory(each, container)) for each in (first, second)]
    assert usage == [(1.5, 7), (2.5, 9)]


def test_container_without_a_cgroup_is_named(tmp_path: Path):
    with pytest.raises(ScriptError, match=r"Cannot read the memory of container c: it has no cgroup"):
        read_container_memory([Hierarchy(tmp_path, 2, frozenset({"memory"}))], Container("p", "c"))
