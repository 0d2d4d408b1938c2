"""The environment of the operator's tests with the newest supported Airflow provider."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from common.command import capture_output
from common.files import atomic_folder, hash_files
from common.package_index import package_index_variables
from common.paths import REPOSITORY, cache_path
from common.python_env import build_install_command
from common.venv import make_venv

TESTS = (
    "adoption",
    "argument_names",
    "argument_types",
    "cluster_policy",
    "conformance",
    "dag_triggers",
    "decorator",
    "deferral",
    "disposal",
    "duplicates",
    "end_record",
    "error_log",
    "exec_request",
    "finish_overrides",
    "finish_plan",
    "finish_secrets",
    "import_cost",
    "informer_faults",
    "informer_metrics",
    "informer_order",
    "informer_outages",
    "late_deferral",
    "informers",
    "layer_order",
    "log_end",
    "log_flood",
    "log_follower",
    "log_jumps",
    "log_lines",
    "log_proof",
    "log_refused",
    "log_writer",
    "mapped",
    "operator_arguments",
    "orphans",
    "outage_before_deferral",
    "own_reentry",
    "patience",
    "pod_api",
    "pod_diagnosis",
    "pod_informer",
    "pod_logs",
    "pod_name",
    "pod_requests",
    "pod_summary",
    "pod_updates",
    "poll_interval",
    "properties",
    "provider_version",
    "quota_wait",
    "redeferral",
    "reentry",
    "reentry_faults",
    "reentry_report",
    "rendered_values",
    "replaced_pod",
    "reported_state",
    "result_mode",
    "running_pods_numbers",
    "service_account_token",
    "start_record",
    "stock_differences",
    "stock_engine",
    "stop",
    "stop_signal",
    "sync_changed_values",
    "sync_clear",
    "sync_creation",
    "sync_cut",
    "sync_disruptions",
    "sync_end",
    "sync_faults",
    "sync_former_pod",
    "sync_logs",
    "sync_message",
    "sync_messages",
    "sync_reasons",
    "sync_refusals",
    "sync_refused_removal",
    "sync_refused_restart",
    "sync_result",
    "sync_run",
    "sync_second_loss",
    "sync_start",
    "sync_store",
    "task_mark",
    "task_result",
    "team_lookup",
    "team_pod",
    "team_pod_trigger",
    "template_fields",
    "tls_context",
    "trigger_arguments",
    "trigger_child_process",
    "trigger_end",
    "trigger_failure",
    "trigger_finish",
    "trigger_forms",
    "trigger_judge",
    "trigger_note",
    "trigger_stop",
    "unused_overrides",
)
"""The tests in tests/unit that use the stock operator; `.venv` has the oldest supported provider."""

_INSTALL_TIMEOUT_S = 600


def ensure_environment(programs: Path) -> Path:
    """Create the environment unless the cache contains it.

    Args:
        programs: the folder of `.venv`'s programs, which include uv.

    Returns:
        The folder of its programs.

    Raises:
        ScriptError: an installation failed.
    """
    lock = REPOSITORY / "requirements" / "providers.txt"
    folder = cache_path("venv", f"providers-{hash_files([lock], sys.version)}")
    if not folder.exists():
        with atomic_folder(folder) as draft:
            make_venv(draft)
            access = package_index_variables()
            install = build_install_command(programs / "uv", draft / "bin" / "python", lock)
            capture_output(install, timeout_s=_INSTALL_TIMEOUT_S, env=access)
    _copy_entry_points(programs.parent, folder)
    return folder / "bin"


def _copy_entry_points(environment: Path, folder: Path) -> None:
    """Copy the package's entry points from `.venv`, through which Airflow finds the cluster policy."""
    (entry_points,) = environment.glob("lib/*/site-packages/kpo_platform-*.dist-info")
    (packages,) = folder.glob("lib/*/site-packages")
    for outdated in packages.glob("kpo_platform-*.dist-info"):
        shutil.rmtree(outdated)
    shutil.copytree(entry_points, packages / entry_points.name)


def list_test_files() -> list[str]:
    """Return the test files, relative to the checkout."""
    return [f"tests/unit/test_{name}.py" for name in TESTS]
