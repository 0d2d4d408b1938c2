"""Check that the Jobs of a release complete."""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.doctor.pod_status import list_problems
from kpo_platform.doctor.result import CheckResult, report_failure, report_incomplete, report_pass
from kpo_platform.doctor.snapshot import ReleaseSnapshot
from kpo_platform.finding import Severity
from kpo_platform.kube import Object


def check_jobs(snapshot: ReleaseSnapshot) -> Iterator[CheckResult]:
    """Check every Job of a release.

    A CronJob's Job is reported only if it failed, and as a warning: the CronJobs of a release only clean up, so tasks
    still run, and the CronJob starts another Job.
    """
    for job in sorted(snapshot.jobs, key=lambda job: str(job["metadata"]["name"])):
        result = _check_job(snapshot, job)
        if result.finding or not _is_of_cron_job(job):
            yield result


def _check_job(snapshot: ReleaseSnapshot, job: Object) -> CheckResult:
    name, conditions = snapshot.identify(job), job.get("status", {}).get("conditions") or ()
    conditions_met = {condition["type"]: condition for condition in conditions if condition["status"] == "True"}
    if "Complete" in conditions_met:
        return report_pass("job", name, "completed")
    problems = list_problems((pod for pod in snapshot.pods if _is_owner(job, pod)), snapshot.events)
    if condition := conditions_met.get("Failed"):
        cause = "; ".join(problems) or condition.get("message", "")
        severity: Severity = "warning" if _is_of_cron_job(job) else "error"
        return report_failure("job", name, f"failed: {cause}", _describe_fix(snapshot, job), severity)
    return report_incomplete("job", name, "; ".join(["still running", *problems]))


def _describe_fix(snapshot: ReleaseSnapshot, job: Object) -> str:
    """Describe how to run a failed Job again: an upgrade does not repeat a Job that still exists."""
    name, kubectl = job["metadata"]["name"], f"kubectl -n {snapshot.namespace}"
    retry = "wait for the next run of its CronJob" if _is_of_cron_job(job) else "upgrade with helm"
    return f"Fix the cause (see {kubectl} logs job/{name}), run {kubectl} delete job {name}, then {retry}."


def _is_of_cron_job(job: Object) -> bool:
    return bool(job["metadata"].get("ownerReferences"))


def _is_owner(job: Object, pod: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner["uid"] == job["metadata"]["uid"] for owner in owners)
