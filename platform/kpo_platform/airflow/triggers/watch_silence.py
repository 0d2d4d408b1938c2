"""Find out from the ends of watches whether a proxy holds back what the API server sends."""

from __future__ import annotations

import logging

import aiohttp

log = logging.getLogger(__name__)

_UNANSWERED = 2
"""After so many watches without an answer, between which lists were answered, a proxy holds back the answer, too."""


class WatchSilence:
    """Knows whether watches are silent: the API server sends a bookmark every minute.

    Attributes:
        is_held_back: whether something may hold back the events of the next watch.
    """

    def __init__(self, namespace: str, listed_every_s: float) -> None:
        self._namespace, self._listed_every_s = namespace, listed_every_s
        self._is_answered = self._has_events = False
        self._unanswered = 0
        self.is_held_back = False

    def begin(self) -> None:
        """Take note that a watch is requested."""
        self._is_answered = self._has_events = False

    def note_answer(self) -> None:
        """Take note of the beginning of its answer."""
        self._is_answered, self._unanswered = True, 0

    def note_event(self) -> None:
        """Take note of an event."""
        self._has_events, self.is_held_back = True, False

    def has_caused(self, error: Exception, *, is_watch: bool) -> bool:
        """Tell whether a watch ended because it was silent, not because the connection was lost or never made."""
        if not is_watch or not isinstance(error.__cause__, aiohttp.SocketTimeoutError):
            self._unanswered = 0
            return False
        self._unanswered += not self._is_answered
        if not self._is_answered and self._unanswered < _UNANSWERED:
            return False
        if not self.is_held_back:
            self.is_held_back = True
            self._tell()
        return True

    def _tell(self) -> None:
        if self._has_events:  # more probably the connection was lost
            log.info("The watch of the pods of namespace %s has become silent. They are listed again.", self._namespace)
            return
        log.warning(
            "The watch of the pods of namespace %s is silent: a proxy may hold back what the Kubernetes API sends. "
            "The pods are listed beside it every %.0f seconds. Let the proxy pass on answers at once.",
            *(self._namespace, self._listed_every_s),
        )
