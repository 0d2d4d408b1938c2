"""The table in docs/why.md: what comes of faults with the stock operator and with TeamPodOperator."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from common.files import write_atomically
from common.paths import REPOSITORY
from common.steps import Steps
from faults.cases import CASES, Played, play_cases
from faults.descriptions import describe_outcomes
from faults.kills import FILE, Tally, kill_every_task
from faults.logged_lines import find_line_faults
from faults.named_tests import find_tests
from faults.outages import OUTAGES, endure_outage
from faults.scene import Scene, open_scene
from images.build import build_images
from images.recipes import AIRFLOW_WITH_NEWEST_PROVIDER
from local_cluster import cluster
from stack.airflow_api import AirflowApi
from stack.install import changed_release, install_stack
from stack.release import Stack
from stack.sample_run import connect_airflow
from testing.groups import get_test_file

PAGE = REPOSITORY / "docs" / "why.md"
RESULTS = REPOSITORY / "docs" / "why" / "faults.json"
BEGIN, END = "<!-- faults: written by scripts/bench why -->", "<!-- end of faults -->"
OURS = "TeamPodOperator"

_PROVIDER = "apache-airflow-providers-cncf-kubernetes"
_CASES_AT_ONCE = 4
_LOG_CASES = ("cut_log", "whole_log")
_KILLS = "kills"
_KILLS_TEST = "test_killed_tasks_neither_lose_nor_repeat_their_work"
_OUTAGE_TEST = "test_outage_neither_fails_tasks_nor_repeats_their_work"

Results = dict[str, dict[str, str]]
"""Column of the table → name of the case or outage → what came of it."""


def record(steps: Steps) -> Path:
    """Play every fault with both operators, the stock one with the oldest and the newest provider; write the page.

    What docs/why/faults.json contains is not played again, so an interrupted record continues; delete a column or the
    file to repeat it.

    Args:
        steps: receives the progress.

    Returns:
        The page.
    """
    stack = install_stack(steps)
    _play_missing(steps, stack, "team")
    _play_missing(steps, stack, "stock")
    with _newest_provider(steps, stack):
        _play_missing(steps, stack, "stock")
    return PAGE


def read_results() -> Results:
    """Return the recorded results."""
    results: Results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return results


def write_page(results: Results) -> None:
    """Write the table between its marks in the page."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    write_atomically(PAGE, f"{before}{BEGIN}\n\n{render_table(results)}\n{END}{after}")


def render_table(results: Results) -> str:
    """Return the results as a table: fault, stock operator by provider, TeamPodOperator, test."""
    columns, tests = [*sorted(column for column in results if column != OURS), OURS], _find_tests()
    rows = [["fault", *columns, "test"], ["---"] * (len(columns) + 2)]
    rows += [
        [_title(name), *(results.get(column, {}).get(name, "") for column in columns), tests[name]]
        for name in list_rows()
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def describe_case(name: str, played: Played) -> str:
    """Return what came of a case in words."""
    faults = {task: find_line_faults(log) for task, log in played.logs.items()} if name in _LOG_CASES else None
    return describe_outcomes(played.outcomes, faults)


def describe_kills(tally: Tally) -> str:
    """Return what came of the killed tasks in words."""
    counts = {
        "failed": len(tally.failed),
        "without the work": len(tally.lost),
        "with the work done twice": len(tally.doubled),
        "pods that run on": tally.running,
    }
    texts = [f"{count} {name}" for name, count in counts.items() if count]
    return f"of {tally.kills} tasks {', '.join(texts)}" if texts else "success"


def list_rows() -> list[str]:
    """Return the names of the rows: cases, outages and the kills."""
    return [*CASES, *OUTAGES, _KILLS]


def describe_expected(name: str) -> str:
    """Return in words what the tests expect of a row with TeamPodOperator."""
    return describe_outcomes(CASES[name].expected) if name in CASES else "success"


def _title(name: str) -> str:
    if name == _KILLS:
        return "Tasks (`retries=3`) killed by SIGTERM and SIGKILL at 17 phases"
    if name in OUTAGES:
        return OUTAGES[name].title
    url = "https://github.com/apache/airflow/issues/"
    links = ", ".join(f"[#{number}]({url}{number})" for number in CASES[name].issues)
    return f"{CASES[name].title} ({links})" if links else CASES[name].title


def _find_tests() -> dict[str, str]:
    """Return group and test of each row."""
    tests = {name: ", ".join(tests) for name, tests in find_tests(get_test_file("run"), CASES).items()}
    rows = {name: f"`run`: `{test}`" for name, test in tests.items()}
    rows |= {name: f"`run-outages`: `{_OUTAGE_TEST}[{name}]`" for name in OUTAGES}
    return rows | {_KILLS: f"`run-kills`: `{_KILLS_TEST}`"}


def _play_missing(steps: Steps, stack: Stack, engine: str) -> None:
    """Play the faults that a column lacks, and record each group of them."""
    airflow = connect_airflow(stack)
    column = OURS if engine == "team" else f"stock {_read_provider(airflow)}"
    missing = [name for name in list_rows() if name not in read_results().get(column, {})]
    if not missing:
        return
    with open_scene(stack, airflow, ("run_cases.py", FILE), engine) as scene:
        for first in range(0, len(missing), _CASES_AT_ONCE):
            group = missing[first : first + _CASES_AT_ONCE]
            with steps.step(f"{column}: {', '.join(group)}"):
                _add_results(column, _play_group(scene, group))


def _play_group(scene: Scene, names: list[str]) -> dict[str, str]:
    played = play_cases(scene, [name for name in names if name in CASES])
    texts = {name: describe_case(name, case) for name, case in played.items() if case.outcomes}
    for name in (name for name in names if name in OUTAGES):
        endured = endure_outage(scene, OUTAGES[name])
        faults = {task: find_line_faults(log) for task, log in endured.logs.items() if task.startswith("runs.")}
        texts[name] = describe_outcomes(endured.outcomes, faults)
    if _KILLS in names:
        texts[_KILLS] = describe_kills(kill_every_task(scene))
    return texts


def _add_results(column: str, texts: Mapping[str, str]) -> None:
    results = read_results()
    results[column] = {**results.get(column, {}), **texts}
    write_atomically(RESULTS, json.dumps(results, indent=2, ensure_ascii=False) + "\n")
    write_page(results)


def _read_provider(airflow: AirflowApi) -> str:
    """Return the first two numbers of the version of Airflow's Kubernetes provider."""
    providers = airflow.get("providers?limit=100")["providers"]
    version = next(item["version"] for item in providers if item["package_name"] == _PROVIDER)
    return ".".join(str(version).split(".")[:2])


@contextmanager
def _newest_provider(steps: Steps, stack: Stack) -> Iterator[None]:
    """Run Airflow with the newest supported provider during the block."""
    recipe = AIRFLOW_WITH_NEWEST_PROVIDER
    with steps.step("Build and load Airflow with the newest provider") as step:
        cluster.load(build_images(step.detail, (recipe.name,)).values(), step.detail)
    repository, _, tag = recipe.reference.rpartition(":")
    with changed_release(steps, stack, {"images": {"airflow": {"repository": repository, "tag": tag}}}):
        yield
