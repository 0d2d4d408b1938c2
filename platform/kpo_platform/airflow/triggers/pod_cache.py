"""The last known state of the pods of a namespace, and who waits for news of which."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterator
from typing import NamedTuple

from kpo_platform.airflow.triggers.pod_moment import Moment
from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.json_fields import read_object, read_text
from kpo_platform.pod.merge import Json
from kpo_platform.pod.summary import summarize_pod


class PodNews:
    """What is known of one pod, and a wait for more.

    Attributes:
        name: the pod's name.
        uid: its uid; empty until it is known.
        start: its value of `START_LABEL`; empty if it has none, or it is not known.
        pod: the summary of its last known state; None until it has been seen.
        moment: when it was in that state.
        warnings: its events of type Warning, while it has not started.
        is_gone: whether it no longer exists.
        error: why nothing can be found out about it.
        updates: how many states it was given.
    """

    def __init__(self, name: str, uid: str = "", start: str = "") -> None:
        self.name, self.uid, self.start = name, uid, start
        self.pod: Json | None = None
        self.moment, self.updates = Moment(), 0
        self.warnings: list[Json] = []
        self.is_gone = False
        self.error: Exception | None = None
        self._changed = asyncio.Event()

    def is_of(self, pod: Json) -> bool:
        """Tell whether this is the pod that is waited for: by uid, else by the label of its start, else by name."""
        metadata = read_object(pod.get("metadata"))
        if self.uid or metadata.get("name") != self.name:
            return bool(self.uid) and metadata.get("uid") == self.uid
        return not self.start or read_object(metadata.get("labels")).get(START_LABEL) == self.start

    def tell(self, pod: Json, moment: Moment) -> None:
        """Take over the summary of a state, unless a newer one is known; the wait ends only if it differs."""
        if moment.is_before(self.moment):
            return
        self.moment, self.updates = moment, self.updates + 1
        if pod != self.pod:
            self.pod = pod
            self.uid = self.uid or read_text(read_object(pod.get("metadata")).get("uid"))
            self._changed.set()

    def tell_warnings(self, events: list[Json]) -> None:
        """Take over the warnings; the wait ends only if they differ."""
        if events != self.warnings:
            self.warnings = events
            self._changed.set()

    def tell_gone(self) -> None:
        """Take over that the pod no longer exists, which is never taken back."""
        self.is_gone = True
        self._changed.set()

    def fail(self, error: Exception) -> None:
        """Tell why nothing can be found out."""
        self.error = error
        self._changed.set()

    def wake(self) -> None:
        """End the wait without news of the pod."""
        self._changed.set()

    async def wait(self, longest_s: float) -> None:
        """Wait for news since the last call, at most for these seconds."""
        try:
            async with asyncio.timeout(longest_s):
                await self._changed.wait()
        except TimeoutError:
            pass
        self._changed.clear()


class _Known(NamedTuple):
    moment: Moment
    summary: bytes


class PodCache:
    """The states of a namespace's pods, by name, as compact JSON: parsed only for those that someone waits for."""

    def __init__(self) -> None:
        self._pods: dict[str, _Known] = {}
        self._waiting: dict[str, list[PodNews]] = {}

    def __len__(self) -> int:
        """Return the number of pods."""
        return len(self._pods)

    @property
    def waiting(self) -> list[PodNews]:
        """Everyone who waits for news."""
        return [news for each in self._waiting.values() for news in each]

    def list_pods(self) -> Iterator[Json]:
        """Yield the summaries of all pods."""
        return (json.loads(known.summary) for known in list(self._pods.values()))

    def add(self, news: PodNews) -> bool:
        """Let someone wait for news; tell whether the pod is known."""
        self._waiting.setdefault(news.name, []).append(news)
        known = self._pods.get(news.name)
        return known is not None and _tell(news, json.loads(known.summary), known.moment)

    def remove(self, news: PodNews) -> None:
        """Let someone wait no longer."""
        left = [each for each in self._waiting.pop(news.name, ()) if each is not news]
        if left:
            self._waiting[news.name] = left

    def put(self, pod: Json, period: int = 0) -> str:
        """Take over the state of a pod, unless a newer one is known; return its name."""
        summary, moment = summarize_pod(pod), _read_moment(pod, period)
        name = read_text(summary["metadata"].get("name"))
        if not self._has_newer(name, moment):
            self._pods[name] = _Known(moment, json.dumps(summary, separators=(",", ":")).encode())
            for news in self._waiting.get(name, ()):
                _tell(news, summary, moment)
        return name

    def take_out(self, pod: Json, period: int) -> list[PodNews]:
        """Take over the last state of a pod that has left the selection; return who waits for it."""
        summary, moment = summarize_pod(pod), _read_moment(pod, period)
        name = read_text(summary["metadata"].get("name"))
        if not self._has_newer(name, moment):
            self._pods.pop(name, None)
        return [news for news in self._waiting.get(name, ()) if _tell(news, summary, moment)]

    def keep_only(self, names: Collection[str], listed: Moment) -> None:
        """Drop the pods that a whole list does not have, except those that are newer than the list."""
        self._pods = {
            name: known for name, known in self._pods.items() if name in names or listed.is_before(known.moment)
        }

    def knows(self, news: PodNews) -> bool:
        """Tell whether the pod is known."""
        known = self._pods.get(news.name)
        if known is None:
            return False
        is_same = bool(known.moment.version) and known.moment == news.moment  # a version is of one pod
        return is_same or news.is_of(json.loads(known.summary))

    def list_missing(self) -> Iterator[PodNews]:
        """Yield those whose pod is not among the known ones."""
        return (news for news in self.waiting if not self.knows(news))

    def _has_newer(self, name: str, moment: Moment) -> bool:
        known = self._pods.get(name)
        return known is not None and moment.is_before(known.moment)


def _read_moment(pod: Json, period: int) -> Moment:
    return Moment(period, read_text(read_object(pod.get("metadata")).get("resourceVersion")))


def _tell(news: PodNews, summary: Json, moment: Moment) -> bool:
    is_own = news.is_of(summary)
    if is_own:
        news.tell(summary, moment)
    return is_own
