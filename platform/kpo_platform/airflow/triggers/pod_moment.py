"""Which of two things that are known of a pod is the newer one."""

from __future__ import annotations

from typing import NamedTuple


class Moment(NamedTuple):
    """When something was so: events of a watch, lists beside it and reads of single pods arrive in any order.

    Attributes:
        period: how many lists without a watch beside them had begun when it was asked for. Such a list is newer than
            all that was known before, even if its version is lower, because the cluster was restored from a backup.
        version: the ``resourceVersion`` of the pod or of the list.
    """

    period: int = 0
    version: str = ""

    def is_before(self, other: Moment) -> bool:
        """Tell whether this is known to be older than the other; of unknown order is what arrives later the newer."""
        if self.period != other.period:
            return self.period < other.period
        return is_lower(self.version, other.version)


def is_lower(version: str, other: str) -> bool:
    """Tell whether a ``resourceVersion`` is lower than another one of the same kind of object.

    Kubernetes compares them as integers of any length, and guarantees it since 1.35 (KEP-5504); before, etcd's were
    such integers too. The order of others, perhaps of an API server without etcd, is not known.
    """
    return _is_integer(version) and _is_integer(other) and (len(version), version) < (len(other), other)


def _is_integer(version: str) -> bool:
    return version.isascii() and version.isdigit() and not version.startswith("0")
