"""Cases of faults: their DAGs exist, and what came of them is told in words."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from benchmarks import why as page
from benchmarks.kills import render_tallies
from common.polling import NotYet, wait_for
from faults import api_server, kills
from faults.case_run import Outcome
from faults.cases import CASES, DONE
from faults.descriptions import describe_outcomes
from faults.kills import Tally
from faults.logged_lines import NUMBERS, LineFaults, find_line_faults
from faults.named_tests import find_tests
from faults.outages import OUTAGES, RUNS
from faults.scene import read_dag_file
from local_cluster.processes import Process
from testing.groups import get_test_file
from unit.support.dag_files import run_dag_file


def load_dags(file: str, engine: str = "team") -> dict[str, DAG]:
    """Run a DAG file for an engine of the operator; return its DAGs by id."""
    return run_dag_file(read_dag_file(file, engine), file)


def test_every_case_and_outage_has_a_dag_with_its_tasks(publish: Callable[..., Any]):
    publish()
    dags = load_dags("run_cases.py")
    expected = {f"run_{name}": set(case.expected) for name, case in CASES.items()}
    expected |= {f"run_{dag}": {"sync", "deferred"} for dag in RUNS.values()}
    assert {name: set(dag.task_ids) for name, dag in dags.items()} == expected


def test_every_phase_of_a_kill_has_a_task_per_signal(publish: Callable[..., Any]):
    publish()
    (dag,) = load_dags(kills.FILE).values()
    words = [task.split("-") for task in dag.task_ids]
    assert (dag.dag_id, len(words), {signal for *_, signal, _ in words}) == ("run_kills", 68, {"TERM", "KILL"})
    assert {phase for _, phase, *_ in words} == kills._HELD.keys() | {"before"}


@pytest.mark.parametrize("file", ["run_cases.py", kills.FILE])
def test_dags_of_the_stock_operator_have_names_of_their_own(publish: Callable[..., Any], file: str):
    publish()
    dags, stock_dags = load_dags(file), load_dags(file, "stock")
    assert [*stock_dags] == [f"stock{name}" for name in dags]
    engines = {
        engine: {task.engine for dag in found.values() for task in dag.tasks}
        for engine, found in {"team": dags, "stock": stock_dags}.items()
    }
    assert engines == {"team": {"team"}, "stock": {"stock"}}


@pytest.mark.parametrize(
    ("outcomes", "text"),
    [
        ({"sync": DONE, "deferred": DONE}, "success"),
        ({"sync": Outcome("success", ends=0), "deferred": DONE}, "sync: success without the work; deferred: success"),
        ({"sync": Outcome("success", starts=2, ends=2)}, "success, work done 2 times, 2 starts"),
        ({"sync": Outcome("failed", ends=0, running=1)}, "failed, a pod runs on"),
        ({"sync": Outcome("failed")}, "failed although the work was done"),
        ({"sync": Outcome("running", running=2)}, "does not end (running), 2 pods run on"),
        ({"sync": Outcome("skipped", ends=0)}, "skipped"),
        ({}, "not played"),
    ],
)
def test_outcomes_are_told_in_words(outcomes: dict[str, Outcome], text: str):
    assert describe_outcomes(outcomes) == text


def test_missing_and_doubled_lines_of_a_log_are_found_and_told():
    lines = [f"[base] line {number}" for number in NUMBERS if number != 150] + ["line 300", "Line of another kind"]
    faults = find_line_faults("\n".join(lines))
    assert faults == LineFaults(missing=(150,), doubled=(300,))
    assert describe_outcomes({"sync": DONE}, {"sync": faults}) == "success, 1 line missing, 1 line doubled"


def test_table_has_a_row_per_fault_and_keeps_the_text_around_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(page, "PAGE", tmp_path / "why.md")
    page.PAGE.write_text(f"# Why\n\nBefore.\n\n{page.BEGIN}\nold\n{page.END}\n\nAfter.\n")
    page.write_page({page.OURS: {"sidecar": "success"}, "stock 10.22": {"sidecar": "does not end (running)"}})
    lines = page.PAGE.read_text().splitlines()
    assert (lines[:5], lines[-3:]) == (["# Why", "", "Before.", "", page.BEGIN], [page.END, "", "After."])
    rows = [line for line in lines if line.startswith("| ")]
    assert rows[0] == "| fault | stock 10.22 | TeamPodOperator | test |"
    assert len(rows) == 2 + len(CASES) + len(OUTAGES) + 1
    link = "[#39693](https://github.com/apache/airflow/issues/39693)"
    test = "`run`: `test_ordinary_sidecar_does_not_delay_the_end`"
    cells = [f"Pod with an ordinary sidecar ({link})", "does not end (running)", "success", test]
    assert f"| {' | '.join(cells)} |" in rows


def test_every_row_of_the_table_has_exactly_one_test():
    tests = find_tests(get_test_file("run"), CASES)
    assert {name: len(found) for name, found in tests.items()} == dict.fromkeys(CASES, 1)
    groups = {"run-outages": page._OUTAGE_TEST, "run-kills": page._KILLS_TEST}
    missing = {group for group, test in groups.items() if f"def {test}(" not in get_test_file(group).read_text()}
    assert missing == set()


def test_page_has_the_recorded_results_and_ours_are_those_of_the_tests():
    results = page.read_results()
    table = page.PAGE.read_text().partition(page.BEGIN)[2].partition(page.END)[0].strip()
    assert table == (page.render_table(results).strip() if results else "The table has not been recorded yet.")
    ours = results.get(page.OURS, {})
    assert ours == {name: page.describe_expected(name) for name in page.list_rows() if name in ours}


def test_soak_counts_the_rounds_together():
    rounds = [Tally(30, {}, [], ["a"], {}), Tally(29, {"b": "failed"}, ["c"], [], {"d": "late"}, running=2)]
    assert render_tallies(rounds)["rows"] == [[59, 2, 1, 1, 1, 2]]
    texts = ["of 30 tasks 1 with the work done twice", "of 29 tasks 1 failed, 1 without the work, 2 pods that run on"]
    assert [page.describe_kills(tally) for tally in rounds] == texts
    assert page.describe_kills(Tally(30, {}, [], [], {})) == "success"


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A process in the place of the API server."""
    with subprocess.Popen(["sleep", "60"]) as process:
        monkeypatch.setattr(api_server, "_find_process", lambda _: Process(process.pid, 0, ""))
        monkeypatch.setattr(api_server, "wait_until_healthy", lambda *_: None)
        monkeypatch.setattr(api_server.processes, "find_process", lambda *_: None)
        monkeypatch.setattr(api_server.processes, "start_process", lambda *_: None)
        yield process
        process.kill()


def wait_for_process_state(process: subprocess.Popen[bytes], *expected: str) -> None:
    """Wait for a state of proc(5), such as T for stopped."""

    def probe() -> None:
        state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
        if state not in expected:
            raise NotYet(state)

    wait_for(f"the process to be {expected}", probe, deadline_s=20, interval_s=0.01)


def test_frozen_api_server_runs_again_after_the_block(sleeper: subprocess.Popen[bytes]):
    with pytest.raises(RuntimeError, match="in the block"), api_server.freeze_api_server():
        wait_for_process_state(sleeper, "T")
        raise RuntimeError("in the block")
    wait_for_process_state(sleeper, "S", "R")


def test_killed_api_server_is_started_after_the_block(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
):
    started: list[str] = []
    monkeypatch.setattr(api_server.processes, "start_process", lambda _, name, argv: started.append(name))
    with pytest.raises(RuntimeError, match="in the block"), api_server.stop_api_server():
        assert sleeper.wait(10) == -signal.SIGKILL
        assert started == []
        raise RuntimeError("in the block")
    assert "kube-apiserver" in started
