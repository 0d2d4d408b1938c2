"""The ledger: which tasks lost their work, and which did it twice."""

from __future__ import annotations

from pathlib import Path

from faults.ledger import Entry, parse_ledger, read_ledger

TEXT = """work 1 a start
work 1 a end
evicted 1 b start
evicted 1 b term
evicted 1 c start
evicted 1 c end
twice[3] 1 d start
twice[3] 1 d end
twice[3] 2 e start
twice[3] 2 e end
lost 1 f start
"""
STATES = {"work": "success", "evicted": "success", "twice[3]": "success", "lost": "success", "failed": "failed"}


def test_ledger_has_an_entry_per_line():
    assert parse_ledger("work 1 a start\nwork 2 b end\n").entries == (
        Entry("work", 1, "a", "start"),
        Entry("work", 2, "b", "end"),
    )


def test_successful_task_without_an_end_is_lost():
    assert parse_ledger(TEXT).find_lost(STATES) == ["lost"]


def test_task_with_two_ends_is_doubled_unless_it_was_disrupted():
    ledger = parse_ledger(TEXT)
    assert (ledger.find_doubled(), ledger.find_doubled({"twice[3]"})) == (["twice[3]"], [])


def test_pods_of_a_task_are_listed_in_the_order_of_their_starts():
    assert parse_ledger(TEXT).list_pods("evicted") == ["b", "c"]


def test_ledger_of_a_run_is_read_from_the_volume_of_its_team(tmp_path: Path):
    for volume, text in {
        "pvc-1_team-alpha_data": "work 1 a start\n",
        "pvc-2_team-beta_data": "other 1 b start\n",
    }.items():
        folder = tmp_path / volume / "ledger"
        folder.mkdir(parents=True)
        (folder / "manual__1").write_text(text)
    assert read_ledger(tmp_path, "team-alpha", "manual__1").entries == (Entry("work", 1, "a", "start"),)
    assert read_ledger(tmp_path, "team-alpha", "manual__2").entries == ()
