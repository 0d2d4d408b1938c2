"""Corrections of Airflow's own faults that make tasks fail or wait, until Airflow has them itself.

Each is registered for the module that it corrects, so a process that never imports the module pays nothing. An Airflow
whose module looks different runs as it is.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from kpo_platform.airflow.import_hook import call_after_import
from kpo_platform.contract import FILE_VARIABLE

SCHEDULER_MODULE = "airflow.jobs.scheduler_job_runner"
TRIGGERER_MODULE = "airflow.jobs.triggerer_job_runner"
WORKER_MODULE = "airflow.sdk.execution_time.supervisor"


def install() -> None:
    """Correct scheduler, triggerer and worker once their modules are imported, if this process has a contract."""
    if FILE_VARIABLE in os.environ:
        call_after_import(SCHEDULER_MODULE, _correct_scheduler)
        call_after_import(TRIGGERER_MODULE, _correct_triggerer)
        call_after_import(WORKER_MODULE, _correct_worker)


def _correct_scheduler() -> None:
    from kpo_platform.airflow.workarounds.stale_success import ignore_stale_successes

    with suppress(AttributeError):
        ignore_stale_successes(sys.modules[SCHEDULER_MODULE])


def _correct_triggerer() -> None:
    from kpo_platform.airflow.workarounds.slow_answers import answer_all_requests

    with suppress(AttributeError):
        answer_all_requests(sys.modules[TRIGGERER_MODULE])


def _correct_worker() -> None:
    from kpo_platform.airflow.workarounds.late_exit import see_exit_at_once

    with suppress(AttributeError):
        see_exit_at_once(sys.modules[WORKER_MODULE])
