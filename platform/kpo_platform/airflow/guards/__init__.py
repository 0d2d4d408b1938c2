"""Guards against other teams' code: what a task's token and trigger may do, and who may use a DAG id.

Airflow loads the cluster policy in every process, before the modules that the guards change. `install` registers the
guards for these modules, so a process that never imports them pays nothing. A worker imports only the module whose
message gets a reason.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress

from kpo_platform.airflow.import_hook import call_after_import
from kpo_platform.contract import FILE_VARIABLE

log = logging.getLogger(__name__)

TRIGGERER_MODULE = "airflow.jobs.triggerer_job_runner"
EXECUTION_API_MODULE = "airflow.api_fastapi.execution_api.app"
TRIGGER_MODEL_MODULE = "airflow.models.trigger"
SECRETS_MODULE = "airflow.sdk.execution_time.secrets.execution_api"
DAG_STORE_MODULE = "airflow.dag_processing.collection"
DAG_PROCESSOR_MODULE = "airflow.dag_processing.manager"


def install() -> None:
    """Guard Airflow's components once their modules are imported, if this process has a contract."""
    if FILE_VARIABLE in os.environ:
        call_after_import(TRIGGERER_MODULE, _guard_triggerer)
        call_after_import(EXECUTION_API_MODULE, _guard_execution_api)
        call_after_import(TRIGGER_MODEL_MODULE, _guard_next_arguments)
        call_after_import(SECRETS_MODULE, _explain_denials)
        call_after_import(DAG_STORE_MODULE, _guard_dag_ids)


def _guard_triggerer() -> None:
    from kpo_platform.airflow.guards.triggers.runner import guard_triggerer

    guard_triggerer()


def _guard_execution_api() -> None:
    from kpo_platform.airflow.guards.execution_api.app import guard_execution_api

    guard_execution_api()


def _guard_next_arguments() -> None:
    from kpo_platform.airflow.guards.triggers.next_arguments import guard_next_arguments

    with suppress(AttributeError):  # another Airflow; the API server refuses it, and the triggerer checks for itself
        guard_next_arguments(sys.modules[TRIGGER_MODEL_MODULE])


def _explain_denials() -> None:
    from kpo_platform.airflow.guards.execution_api.denial_message import explain_denials

    explain_denials()


def _guard_dag_ids() -> None:
    try:
        from kpo_platform.airflow.guards.dag_ids import guard_dag_ids
    except ImportError as error:  # another Airflow
        log.warning("DAG ids are not kept for their teams: %s.", error)
        return
    guard_dag_ids(sys.modules[DAG_STORE_MODULE], sys.modules.get(DAG_PROCESSOR_MODULE))
