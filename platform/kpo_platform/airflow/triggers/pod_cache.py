"""The last known state of the pods of a namespace, and who waits for news of which."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator

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
        is_gone: whether it no longer exists.
        error: why nothing can be found out about it.
    """

    def __init__(self, name: str, uid: str = "", start: str = "") -> None:
        self.name, self.uid, self.start = name, uid, start
        self.pod: Json | None = None
        self.is_gone = False
        self.error: Exception | None = None
        self._changed = asyncio.Event()

    def is_of(self, pod: Json) -> bool:
        """Tell whether this is the pod that is waited for: by uid, else by the label of its start, else by name."""
        metadata = read_object(pod.get("metadata"))
        if self.uid or metadata.get("name") != self.name:
            return bool(self.uid) and metadata.get("uid") == self.uid
        return not self.start or read_object(metadata.get("labels")).get(START_LABEL) == self.start

    def tell(self, pod: Json | None, *, is_gone: bool = False) -> None:
        """Take over the summary of a new state, or the end of the pod's existence."""
        if pod is not None:
            self.pod = pod
            self.uid = self.uid or read_text(read_object(pod.get("metadata")).get("uid"))
        self.is_gone |= is_gone
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


class PodCache:
    """The states of a namespace's pods, by name, as compact JSON: parsed only for those that someone waits for."""

    def __init__(self) -> None:
        self._pods: dict[str, bytes] = {}
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
        return (json.loads(pod) for pod in list(self._pods.values()))

    def add(self, news: PodNews) -> bool:
        """Let someone wait for news; tell whether the pod is known."""
        self._waiting.setdefault(news.name, []).append(news)
        pod = self._pods.get(news.name)
        return pod is not None and self._tell(news, json.loads(pod))

    def remove(self, news: PodNews) -> None:
        """Let someone wait no longer."""
        left = [each for each in self._waiting.pop(news.name, ()) if each is not news]
        if left:
            self._waiting[news.name] = left

    def put(self, pod: Json) -> None:
        """Take over the state of a pod."""
        summary = summarize_pod(pod)
        name = read_text(summary["metadata"].get("name"))
        self._pods[name] = json.dumps(summary, separators=(",", ":")).encode()
        for news in self._waiting.get(name, ()):
            self._tell(news, summary)

    def take_out(self, pod: Json) -> list[PodNews]:
        """Take over the last state of a pod that has left the selection; return who waits for it."""
        summary = summarize_pod(pod)
        name = read_text(summary["metadata"].get("name"))
        self._pods.pop(name, None)
        return [news for news in self._waiting.get(name, ()) if self._tell(news, summary)]

    def keep_only(self, names: Iterable[str]) -> None:
        """Drop the pods that a whole list does not have."""
        known = set(names)
        self._pods = {name: pod for name, pod in self._pods.items() if name in known}

    def knows(self, news: PodNews) -> bool:
        """Tell whether the pod is known."""
        pod = self._pods.get(news.name)
        return pod is not None and news.is_of(json.loads(pod))

    def list_missing(self) -> Iterator[PodNews]:
        """Yield those whose pod is not among the known ones."""
        return (news for news in self.waiting if not self.knows(news))

    @staticmethod
    def _tell(news: PodNews, summary: Json) -> bool:
        is_own = news.is_of(summary)
        if is_own:
            news.tell(summary)
        return is_own
