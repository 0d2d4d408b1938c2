"""Play all faults, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from benchmarks.fault_scores.fault import Fault

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 18
"""So many faults are played at a time, each with up to three pods."""


def order_by_duration(faults: Iterable[Fault]) -> list[Fault]:
    """Put the faults that are diagnosed late first, so that none of them is the last."""
    return sorted(faults, key=lambda fault: -fault.settle_s)


def play_at_once(
    items: Iterable[T], play: Callable[[T], R], name: Callable[[T], str], progress: Callable[[str], None]
) -> dict[str, R]:
    """Play items in threads; after an interruption those that have begun are finished.

    Args:
        items: what is played.
        play: plays one.
        name: the name of an item.
        progress: takes how many are done.

    Returns:
        Name → what came of it.
    """
    pending = list(items)
    results: dict[str, R] = {}
    with ThreadPoolExecutor(AT_ONCE) as threads:
        futures = {threads.submit(play, item): name(item) for item in pending}
        try:
            for future in as_completed(futures):
                results[futures[future]] = future.result()
                progress(f"{len(results)} of {len(pending)}, last {futures[future]}")
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return results
