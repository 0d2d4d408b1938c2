"""lifecycle.adoption: which earlier pod a task takes up, as a table of all cases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kpo_platform.airflow.operators.lifecycle.adoption import (
    Adoption,
    AdoptionKind,
    choose_earlier_pod,
    needs_labels,
)
from kpo_platform.airflow.operators.lifecycle.start_record import StartRecord
from kpo_platform.pod.state import PodState
from unit.support.earlier_pods import (
    ATTEMPT,
    CHECKED,
    CLEARED,
    EARLIER_TRY,
    FINISHED_AT,
    NEW,
    OLDER_FORM,
    STOCK_FORM,
    THIS_TRY,
    WAITING,
    build_pod,
    deleting,
    ended,
)

UP, RESULT, START = AdoptionKind.TAKE_UP_RUNNING, AdoptionKind.TAKE_RESULT, AdoptionKind.START_NEW

OURS = "Reattached to pod p, which an earlier process of this task created."
LOST = "Reattached to pod p of try 1, whose worker was lost."
UNWATCHED = "Pod p ended while no process of the task watched it: the task uses its end."
DONE = "Pod p of try 1 succeeded after its worker was lost: the task uses its end."

Case = tuple[StartRecord | None, PodState | None, AdoptionKind, str, bool, bool]
"""Stored record, the pod of its name; what follows, its reason, whether a pod goes with it, and is_restart."""

CASES: dict[str, Case] = {
    # The pod runs.
    "running": (THIS_TRY, build_pod(), UP, OURS, True, False),
    "pending": (THIS_TRY, build_pod(WAITING, "Pending"), UP, OURS, True, False),
    "node that does not answer": (THIS_TRY, build_pod(phase="Unknown"), UP, OURS, True, False),
    "answer to the creation was lost": (replace(THIS_TRY, uid=""), build_pod(), UP, OURS, True, False),
    "running of an earlier try": (EARLIER_TRY, build_pod(try_number=1), UP, LOST, True, False),
    "answer was lost in an earlier try": (replace(EARLIER_TRY, uid=""), build_pod(try_number=1), UP, LOST, True, False),
    # The pod ended while no worker looked (point 2).
    "succeeded": (THIS_TRY, build_pod(ended(0), "Succeeded"), RESULT, UNWATCHED, True, False),
    "failed": (THIS_TRY, build_pod(ended(1), "Failed"), RESULT, UNWATCHED, True, False),
    "only base has ended": (THIS_TRY, build_pod(ended(1)), RESULT, UNWATCHED, True, False),
    "answer was lost and the pod has ended": (
        replace(THIS_TRY, uid=""), build_pod(ended(0), "Succeeded"), RESULT, UNWATCHED, True, False,
    ),
    # The cluster refused or evicted the pod (point 8): its end says so, and the task starts again.
    "refused by the kubelet": (
        THIS_TRY, build_pod(WAITING, "Failed", reason="OutOfcpu"), RESULT, UNWATCHED, True, False,
    ),
    "evicted": (THIS_TRY, build_pod(ended(137), "Failed", reason="Evicted"), RESULT, UNWATCHED, True, False),
    "succeeded in an earlier try": (
        EARLIER_TRY, build_pod(ended(0), "Succeeded", try_number=1), RESULT, DONE, True, False,
    ),
    "base succeeded in an earlier try": (EARLIER_TRY, build_pod(ended(0), try_number=1), RESULT, DONE, True, False),
    "failed in an earlier try": (
        EARLIER_TRY, build_pod(ended(1), "Failed", try_number=1), START, f"Pod p of try 1 has ended{NEW}", True, False,
    ),
    "base failed in an earlier try": (
        EARLIER_TRY, build_pod(ended(1), try_number=1), START, f"Pod p of try 1 has ended{NEW}", True, False,
    ),
    # The pod is being deleted (point 1), also one that would end with 0 because of SIGTERM.
    "being deleted": (THIS_TRY, deleting("2026-01-01T00:02:00Z"), START, f"Pod p is being deleted{NEW}", False, True),
    "deleted while pending": (
        THIS_TRY, deleting("2026-01-01T00:02:00Z", WAITING), START, f"Pod p is being deleted{NEW}", False, True,
    ),
    "ended because it was deleted": (
        THIS_TRY, deleting("2026-01-01T00:00:00Z", ended(0)), START, f"Pod p is being deleted{NEW}", False, True,
    ),
    "ended in the second of the deletion": (
        THIS_TRY, deleting(FINISHED_AT, ended(0)), START, f"Pod p is being deleted{NEW}", False, True,
    ),
    "ended before it was deleted": (
        THIS_TRY, deleting("2026-01-01T00:02:00Z", ended(0)), RESULT, UNWATCHED, True, False,
    ),
    "being deleted since an earlier try": (
        EARLIER_TRY, deleting("2026-01-01T00:02:00Z", ended(0), 1), START, f"Pod p of try 1 is being deleted{NEW}",
        False, False,
    ),
    # A user stopped it, or its try has finished.
    "marked": (
        THIS_TRY, build_pod(labels=CHECKED), START, f"Pod p was stopped, or its end was handled already{NEW}",
        False, True,
    ),
    "marked and ended": (
        THIS_TRY, build_pod(ended(0), "Succeeded", labels=CHECKED), START,
        f"Pod p was stopped, or its end was handled already{NEW}", False, True,
    ),
    "marked in an earlier try": (
        EARLIER_TRY, build_pod(try_number=1, labels=CHECKED), START,
        f"Pod p of try 1 was stopped, or its end was handled already{NEW}", False, False,
    ),
    # A user cleared the task: what runs continues, and what has ended is done again.
    "cleared while the pod runs": (CLEARED, build_pod(try_number=1), UP, LOST, True, False),
    "cleared while the pod is pending": (CLEARED, build_pod(WAITING, "Pending", try_number=1), UP, LOST, True, False),
    "cleared after the pod succeeded": (
        CLEARED, build_pod(ended(0), "Succeeded", try_number=1), START, f"Pod p of try 1 has ended{NEW}", True, False,
    ),
    "cleared after base succeeded": (
        CLEARED, build_pod(ended(0), try_number=1), START, f"Pod p of try 1 has ended{NEW}", True, False,
    ),
    "cleared after the pod was marked": (
        CLEARED, build_pod(try_number=1, labels=CHECKED), START,
        f"Pod p of try 1 was stopped, or its end was handled already{NEW}", False, False,
    ),
    "cleared, and the pod is being deleted": (
        CLEARED, deleting("2026-01-01T00:02:00Z", try_number=1), START, f"Pod p of try 1 is being deleted{NEW}",
        False, False,
    ),
    # The pod is gone, or another one has its name.
    "gone": (THIS_TRY, None, START, f"Pod p no longer exists{NEW}", False, True),
    "gone since an earlier try": (EARLIER_TRY, None, START, f"Pod p no longer exists{NEW}", False, False),
    "never created": (replace(THIS_TRY, uid=""), None, START, "", False, False),
    "another uid": (
        THIS_TRY, build_pod(uid="v"), START, f"Pod p was replaced by another pod of this name (uid v){NEW}",
        False, True,
    ),
    "another uid with an earlier try's record": (
        EARLIER_TRY, build_pod(uid="v"), START, f"Pod p was replaced by another pod of this name (uid v){NEW}",
        False, False,
    ),
    "fixed name that another task has": (
        replace(THIS_TRY, uid=""), build_pod(start="other"), START, f"Pod p is not a pod of this task{NEW}",
        False, False,
    ),
    # The record of an older version: the pod's label says the try.
    "older form, running": (OLDER_FORM, build_pod(start="-"), UP, OURS, True, False),
    "older form, running of an earlier try": (OLDER_FORM, build_pod(try_number=1), UP, LOST, True, False),
    "older form, ended": (OLDER_FORM, build_pod(ended(1), "Failed", start="-"), RESULT, UNWATCHED, True, False),
    "older form, succeeded in an earlier try": (
        OLDER_FORM, build_pod(ended(0), "Succeeded", try_number=1), START, f"Pod p of try 1 has ended{NEW}",
        True, False,
    ),
    "older form, being deleted": (
        OLDER_FORM, deleting("2026-01-01T00:02:00Z"), START, f"Pod p is being deleted{NEW}", False, True,
    ),
    "older form, another uid": (
        OLDER_FORM, build_pod(uid="v"), START, f"Pod p was replaced by another pod of this name (uid v){NEW}",
        False, False,
    ),
    "older form, gone": (OLDER_FORM, None, START, f"Pod p no longer exists{NEW}", False, False),
    "stock operator's form, running": (STOCK_FORM, build_pod(start="-"), UP, OURS, True, False),
    "stock operator's form, another task": (
        STOCK_FORM, build_pod(labels={"task_id": "x"}), START, f"Pod p is not a pod of this task{NEW}", False, False,
    ),
    # Nothing is stored; the name is derived.
    "first start": (None, None, START, "", False, False),
    "derived name, running": (None, build_pod(), UP, OURS, True, False),
    "derived name, ended": (None, build_pod(ended(0), "Succeeded"), RESULT, UNWATCHED, True, False),
    "derived name, another task": (None, build_pod(start="other"), START, "", False, False),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_earlier_pod_is_taken_up_or_not(case: Case):
    stored, pod, kind, reason, has_pod, is_restart = case
    assert choose_earlier_pod(stored, pod, [], ATTEMPT) == Adoption(kind, pod if has_pod else None, reason, is_restart)


OLD = build_pod(name="old", uid="1", creationTimestamp="2026-01-01T00:00:00Z")
NEWER = build_pod(name="newer", uid="2", creationTimestamp="2026-01-02T00:00:00Z")
NEWEST_MARKED = build_pod(name="marked", uid="3", creationTimestamp="2026-01-03T00:00:00Z", labels=CHECKED)
NEWEST_DELETED = build_pod(
    name="deleted", uid="4", creationTimestamp="2026-01-04T00:00:00Z", deletionTimestamp=FINISHED_AT
)
EARLIER_ENDED = build_pod(
    ended(0), "Succeeded", name="done", uid="5", try_number=1, creationTimestamp="2026-01-05T00:00:00Z"
)
UNDATED = build_pod(name="undated", uid="6")

LABELLED: dict[str, tuple[list[PodState], PodState | None, str]] = {
    "one": ([OLD], OLD, "Reattached to pod old, which an earlier process of this task created."),
    "newest of several": (
        [OLD, NEWER, UNDATED],
        NEWER,
        "Reattached to pod newer, which an earlier process of this task created.",
    ),
    "newest that may be taken up": (
        [NEWEST_DELETED, OLD, EARLIER_ENDED, NEWEST_MARKED, NEWER],
        NEWER,
        "Reattached to pod newer, which an earlier process of this task created.",
    ),
    "running of an earlier try": (
        [build_pod(try_number=1)],
        build_pod(try_number=1),
        "Reattached to pod p of try 1, whose worker was lost.",
    ),
    "none that may be taken up": (
        [NEWEST_MARKED, NEWEST_DELETED],
        None,
        "Pod deleted is being deleted: the task starts a new pod.",
    ),
    # Without a record, a clear is not told from a retry.
    "ended of an earlier try": (
        [EARLIER_ENDED],
        EARLIER_ENDED,
        "Pod done of try 1 has ended: the task starts a new pod.",
    ),
}


@pytest.mark.parametrize(("pods", "chosen", "reason"), LABELLED.values(), ids=list(LABELLED))
def test_labelled_pods_are_told_apart(pods: list[PodState], chosen: PodState | None, reason: str):
    adoption = choose_earlier_pod(None, None, pods, ATTEMPT)
    assert (adoption.pod, adoption.reason) == (chosen, reason)
    assert (adoption.kind is UP) == reason.startswith("Reattached")


def test_stored_uid_decides_among_labelled_pods():
    assert choose_earlier_pod(THIS_TRY, build_pod(), [NEWER, OLD], ATTEMPT).pod == build_pod()
    assert choose_earlier_pod(THIS_TRY, None, [NEWER, OLD], ATTEMPT).kind is START


def test_derived_name_wins_over_newer_labelled_pods():
    assert choose_earlier_pod(None, build_pod(), [NEWER, OLD], ATTEMPT).pod == build_pod()


@pytest.mark.parametrize(
    ("record", "try_number", "reschedules", "is_needed"),
    [(None, 1, 0, False), (None, 2, 0, True), (None, 1, 1, True), (THIS_TRY, 2, 1, False), (OLDER_FORM, 2, 0, False)],
)
def test_labels_are_searched_only_if_nothing_is_stored(
    record: StartRecord | None, try_number: int, reschedules: int, is_needed: bool
):
    assert needs_labels(record, try_number, reschedules) is is_needed
