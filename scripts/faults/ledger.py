"""The ledger of tasks: lines that their programs append to a file on the team's volume when they start and end.

The file survives pods, Airflow and the API server. The programs' shell writes each line with one `write` to a file that
is open for appending, so lines never mix.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = "ledger"
"""The folder of the ledgers on the team's volume, with one file per DAG run, named like the run."""

START, END = "start", "end"


@dataclass(frozen=True)
class Entry:
    """A line of the ledger.

    Attributes:
        task: the task's id, with the map index if it is mapped: `work[3]`.
        attempt: the try for which the pod was created, from 1.
        pod: the pod's uid.
        event: `start`, `end`, or `term` when the program was asked to end.
    """

    task: str
    attempt: int
    pod: str
    event: str


@dataclass(frozen=True)
class Ledger:
    """The entries of a DAG run in the order in which they were written."""

    entries: tuple[Entry, ...]

    def count(self, event: str) -> Counter[str]:
        """Return how often the programs of each task wrote an event."""
        return Counter(entry.task for entry in self.entries if entry.event == event)

    def list_pods(self, task: str) -> list[str]:
        """Return the uids of the pods in which a task's program started, in order."""
        return [entry.pod for entry in self.entries if entry.task == task and entry.event == START]

    def find_lost(self, states: Mapping[str, str]) -> list[str]:
        """Return the tasks whose work is lost: successful without an end of the program.

        Args:
            states: Airflow's state of every task.
        """
        ends = self.count(END)
        return sorted(task for task, state in states.items() if state == "success" and not ends[task])

    def find_doubled(self, disrupted: Iterable[str] = ()) -> list[str]:
        """Return the tasks whose work was done more than once.

        Args:
            disrupted: tasks whose pods the cluster disrupted: their work may have been done before.
        """
        ends = self.count(END)
        return sorted(task for task in ends.keys() - set(disrupted) if ends[task] > 1)


def parse_ledger(text: str) -> Ledger:
    """Parse a ledger: one line per event with task, try, pod and event."""
    lines = (line.split() for line in text.splitlines())
    return Ledger(tuple(Entry(task, int(attempt), pod, event) for task, attempt, pod, event in lines))


def read_ledger(volumes: Path, namespace: str, run: str, claim: str = "data") -> Ledger:
    """Read the ledger of a DAG run from the node's disk, also while the API server is away.

    Args:
        volumes: the folder of the local cluster's volumes.
        namespace: the team's namespace.
        run: the run's id.
        claim: the name of the team's volume claim.
    """
    files = list(volumes.glob(f"*_{namespace}_{claim}/{FOLDER}/{run}"))
    return parse_ledger("".join(file.read_text(encoding="utf-8") for file in files))
