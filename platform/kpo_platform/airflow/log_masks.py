"""The secrets that Airflow hides in the log of this process; in another process it writes them in clear.

Airflow hides what a process has read of variables and connections, and what its code registers with ``mask_secret``
(3.3, sdk/_shared/secrets_masker). The supervisor of a task begins with none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from typing import Any

from airflow.sdk._shared.secrets_masker import SecretsMasker, _secrets_masker
from airflow.sdk.configuration import conf

_OF_START: set[str] = set()


def note_secrets_of_start() -> None:
    """Note what this process hides before it parses a DAG file: the credentials of the file's bundle."""
    _OF_START.update(_secrets_masker().patterns)


def hides_more_than_triggerer(read_extras: Callable[[], Mapping[str, Any]], spec: Mapping[str, Any] | None) -> bool:
    """Tell whether this process hides a secret of the task, which a triggerer would write in clear.

    Every process hides the secrets of Airflow's configuration. Those that a worker reads for itself, of the bundle and
    of the connection to the cluster, are the task's only if they are in its pod.

    Args:
        read_extras: reads the extras of the connection to the cluster; it is only called if there are secrets.
        spec: the spec of the task's pod, if it is known.
    """
    masker = _secrets_masker()
    if not masker.patterns:
        return False
    extras = read_extras()
    secrets = set(masker.patterns)
    texts = [_read(each) for each in secrets if _parse(each) == extras]  # Airflow also hides the extras as a whole
    of_worker = _OF_START | _list_patterns(masker, extras, texts)
    pod = json.dumps(spec)
    tasks_own = secrets - {each for each in of_worker if spec and json.dumps(_read(each))[1:-1] not in pod}
    return bool(tasks_own) and not tasks_own <= _list_patterns(masker, _list_configured())


def _list_patterns(masker: SecretsMasker, *secrets: Any) -> set[str]:
    """List what a masker with the settings of this one hides of these secrets."""
    other = copy(masker)
    other.patterns = set()
    for each in secrets:
        other.add_mask(each)
    return other.patterns


def _list_configured() -> list[str]:
    """List the secrets of Airflow's configuration, which it hides from its start on (``conf.mask_secrets``)."""
    with conf.suppress_future_warnings():
        settings = conf.sensitive_config_values
        return [conf.get(section, key, fallback="", suppress_warnings=True) for section, key in settings]


def _parse(pattern: str) -> Any:
    with suppress(ValueError, RecursionError):
        return json.loads(_read(pattern))
    return None


def _read(pattern: str) -> str:
    """Return the secret of a pattern, which was made of it by ``re.escape``."""
    return re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL)
