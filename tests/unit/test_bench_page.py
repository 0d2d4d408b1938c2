"""The section of docs/benchmarks.md about the run of a pod: tables, plot, and parts that are measured later."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import parts, record
from benchmarks.parts import Part, Parts, complete_parts, read_parts
from benchmarks.sync.page import FIGURE, SECTION, build_result, draw_figure
from benchmarks.sync.percentiles import find_percentile, format_percentiles
from benchmarks.sync.plot import draw_bars
from benchmarks.sync.variants import VARIANTS, mirror
from common.steps import Steps

CONDITIONS = {"date": "2026-11-30", "commit": "abc"}
RUN = {"queued": 0.5, "started": 0.6, "opened": 0.8, "parsed": 1.5, "entered": 1.6, "returned": 3.6}
POD = {"created": 1.7, "running": 2.5, "ended": 2.6}
END = {"finished": 3.7, "marked": 4.0}


def build_sample(seconds: float) -> dict[str, float]:
    """Build the marks of a task whose `execute` ends this much later."""
    later = {mark: time + seconds for mark, time in {"returned": RUN["returned"], **END}.items()}
    return {**RUN, **POD, **later}


BLOCK: dict[str, list[Any]] = {
    "plain": [0.9, 1.1],
    "plain_result": [1.2],
    "python": [{**RUN, **END}],
    "team": [build_sample(0), build_sample(0.2)],
    "stock": [build_sample(3), build_sample(3.4)],
    "team_result": [build_sample(0.1)],
    "stock_result": [build_sample(3.1)],
}
DELAYS = {"20": [0.1, 0.2], "60": [0.3], "120": [0.4]}
REQUESTS = [{"create pods": 1, "get pods": 3}]
LINES = {"doubled": 0, "missing": 12000, "unmarked": 1, "rates": [60000, 50000, 70000]}
MEASURED: dict[str, dict[str, Any]] = {
    "short": {"commit": "abc", "items": [BLOCK]},
    "long": {
        "commit": "abc",
        "items": [
            {"engine": "team", "delays": DELAYS, "requests": REQUESTS, "others": {"list pods": 9}, "tasks": 9},
            {"engine": "stock", "delays": DELAYS, "requests": [{"get pods": 30}], "others": {}, "tasks": 9},
        ],
    },
    "lines": {"commit": "def", "items": [{"engine": "team", **LINES}, {"engine": "team", **LINES}]},
    "backlog": {"commit": "def", "items": [{"engine": "team", **LINES, "missing": 0}]},
    "idle": {
        "commit": "abc",
        "items": [
            {"settings": "chart", "components": {"scheduler": 6.0, "triggerer": 2.0}},
            {"settings": "chart", "components": {"scheduler": 7.0, "triggerer": 2.0}},
            {"settings": "Airflow's defaults", "components": {"scheduler": 5.0, "triggerer": 2.0}},
        ],
    },
}
ROWS = [
    ["`execute` over the plain client", "p50 ≤ 0.3", "4.20", "4.40", "1.10", "1.20"],
    ["`execute` over the plain client, result of 1 KB", "p50 ≤ 0.3", "3.90", "3.90", "0.90", "0.90"],
    ["trigger → run marked", "p50 ≤ 3.2", "7.20", "7.40", "4.10", "4.20"],
    ["trigger → run marked, result of 1 KB", "p50 ≤ 3.2", "7.10", "7.10", "4.10", "4.10"],
    ["end seen → returned", "p50 ≤ 0.2, p95 ≤ 0.5", "4.20", "4.40", "1.10", "1.20"],
    ["end seen → returned, result of 1 KB", "p50 ≤ 0.2, p95 ≤ 0.5", "4.10", "4.10", "1.10", "1.10"],
    ["end seen → returned, task of 20 s", "p50 ≤ 0.2, p95 ≤ 0.5", "0.15", "0.20", "0.15", "0.20"],
    ["end seen → returned, task of 60 s", "p50 ≤ 0.2, p95 ≤ 0.5", "0.30", "0.30", "0.30", "0.30"],
    ["end seen → returned, task of 120 s", "p50 ≤ 0.2, p95 ≤ 0.5", "0.40", "0.40", "0.40", "0.40"],
    ["requests of a task of 60 s, result of 1 KB", "p50 ≤ 5", "30", "30", "4", "4"],
]
TABLES = [
    [
        ["plain client: create, watch, read the log, delete", "1.00", "1.10"],
        ["plain client, result of 1 KB", "1.20", "1.20"],
        ["Python task, trigger → run marked", "4.00", "4.00"],
        ["Python task, worker starts → task's end", "3.10", "3.10"],
    ],
    [
        ["trigger → queued", "0.50", "0.50", "0.50"],
        ["queued → worker starts", "0.10", "0.10", "0.10"],
        ["worker starts → DAG file", "0.20", "0.20", "0.20"],
        ["import of the DAG file", "0.70", "0.70", "0.70"],
        ["import → `execute`", "0.10", "0.10", "0.10"],
        ["`execute` → pod created", "", "0.10", "0.10"],
        ["created → running", "", "0.80", "0.80"],
        ["running → end seen", "", "0.10", "0.10"],
        ["end seen → returned", "", "4.20", "1.10"],
        ["returned → task's end", "0.10", "0.10", "0.10"],
        ["task's end → run marked", "0.30", "0.30", "0.30"],
        ["`execute`", "2.00", "5.20", "2.10"],
    ],
    [
        ["create pods", "0.0", "1.0"],
        ["get pods", "30.0", "3.0"],
        ["requests about no pod, per task", "0.0", "1.0"],
    ],
    [
        ["doubled lines", "0", "", "0 / 0"],
        ["missing lines", "", "", "12,000 / 12,000"],
        ["unmarked gaps", "0", "", "1 / 1"],
        ["lines per second", "", "", "60,000"],
    ],
    [
        ["doubled lines", "0", "", "0"],
        ["missing lines", "", "", "0"],
        ["unmarked gaps", "0", "", "1"],
        ["lines per second", "≥ 50,000", "", "60,000"],
    ],
    [["scheduler", "6.50", "5.00"], ["triggerer", "2.00", "2.00"], ["all", "8.50", "7.00"]],
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the results, and beside it the page."""
    results = tmp_path / "benchmarks"
    results.mkdir()
    for module in (record, parts):
        monkeypatch.setattr(module, "RESULTS", results)
    monkeypatch.setattr(record, "PAGE", tmp_path / "benchmarks.md")
    return results


def test_every_part_has_its_rows_and_tables():
    result = build_result(MEASURED)
    assert (result["rows"], [table["rows"] for table in result["tables"]]) == (ROWS, TABLES)
    assert {len(row) for row in result["rows"]} == {len(result["columns"])}
    assert [{len(row) for row in table["rows"]} for table in result["tables"]] == [
        {len(table["columns"])} for table in result["tables"]
    ]
    assert "commit def" in result["tables"][3]["text"]


def test_nothing_measured_gives_no_row_and_no_plot():
    result = build_result({})
    assert (result["rows"], result["tables"], "figure" in result, draw_figure({})) == ([], [], False, "")


def test_percentiles_are_by_nearest_rank():
    values = [float(number) for number in range(30, 0, -1)]
    assert (find_percentile(values, 0.95), find_percentile(values, 0.5), find_percentile([7.0], 0.95)) == (29, 15, 7)
    assert (format_percentiles(values), format_percentiles([])) == (["15.50", "29.00"], ["", ""])


def test_order_of_the_variants_is_the_same_from_both_ends():
    assert mirror(("a", "b")) == ["a", "b", "b", "a"]
    assert mirror(VARIANTS) == mirror(VARIANTS)[::-1]


def test_plot_has_a_bar_for_each_value_as_long_as_it_says():
    root = ElementTree.fromstring(
        draw_bars("A & B", {"one <stage>": {"stock": 2.0, "ours": 1.0}, "two": {"ours": 0.0}})
    )
    texts = ["".join(element.itertext()) for element in root]
    assert [text for text in texts if text] == ["A & B", "stock", "ours", "one <stage>", "2.00", "1.00", "two", "0.00"]
    bars = [element.get("width") for element in root if element.get("height") == "8"]
    assert bars == ["400.0", "200.0", "0.0"]


def test_stored_part_is_on_the_page_with_its_plot(folder: Path):
    Parts(SECTION, CONDITIONS).write("short", [BLOCK])
    stored = json.loads((folder / "sync.json").read_text())
    assert stored == {
        **build_result({"short": MEASURED["short"]}),
        "conditions": CONDITIONS,
        "parts": {"short": MEASURED["short"]},
    }
    page = (folder.parent / "benchmarks.md").read_text()
    assert page.endswith(f"\n{record.render_section(stored)}")
    assert f"![The run of a pod](benchmarks/{FIGURE})" in page
    assert (folder / FIGURE).read_text() == draw_figure(MEASURED)


@pytest.mark.parametrize(
    ("commit", "kept"),
    [("abc", [1, 1]), ("abc-dirty", [1, 1]), ("def", [1, 0])],
    ids=["same commit", "made dirty by the benchmark", "another commit"],
)
def test_complete_parts_are_kept_and_others_only_of_the_same_commit(folder: Path, commit: str, kept: list[int]):
    Parts(SECTION, CONDITIONS).write("short", [BLOCK])
    read_parts(SECTION, CONDITIONS, folder).write("lines", [MEASURED["lines"]["items"][0]])
    stored = read_parts(SECTION, {**CONDITIONS, "commit": commit}, folder)
    assert [len(stored.read("short", 1)), len(stored.read("lines", 4))] == kept


def test_interrupted_part_continues_with_its_next_item(folder: Path):
    measured: list[str] = []

    def measure(subject: str) -> dict[str, list[Any]]:
        measured.append(subject)
        if measured == ["one", "two"]:
            raise KeyboardInterrupt
        return BLOCK

    part, stream = Part("short", ("one", "two", "three"), measure, "Short runs"), (folder.parent / "progress").open("w")
    with stream:
        with pytest.raises(KeyboardInterrupt):
            complete_parts(Steps(stream, live=False), read_parts(SECTION, CONDITIONS, folder), [part])
        complete_parts(Steps(stream, live=False), read_parts(SECTION, CONDITIONS, folder), [part])
    assert measured == ["one", "two", "two", "three"]
    assert len(read_parts(SECTION, CONDITIONS, folder).read("short", 3)) == 3
    assert "▸ Short runs: two (2 of 3)" in (folder.parent / "progress").read_text()


def test_page_is_what_the_results_give():
    assert record.PAGE.read_text(encoding="utf-8") == record.render_page()
    file = record.RESULTS / "sync.json"
    stored = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {"parts": {}}
    figure = record.RESULTS / FIGURE
    assert (figure.read_text(encoding="utf-8") if figure.exists() else "") == draw_figure(stored["parts"])
    expected = {**build_result(stored["parts"]), "conditions": stored.get("conditions"), "parts": stored["parts"]}
    assert stored == (expected if file.exists() else {"parts": {}})
