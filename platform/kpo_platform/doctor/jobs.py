"""Did the release's Jobs end well?"""

from __future__ import annotations

from collections.abc import Iterator

from kpo_platform.doctor.pod_status import last_words, trouble
from kpo_platform.doctor.result import Judgement, wrong
from kpo_platform.doctor.snapshot import Sight
from kpo_platform.kube import Object


def jobs(sight: Sight) -> Iterator[Judgement]:
    """Judge every Job of the release; one of a CronJob only where it failed, for there will be others."""
    for each in sorted(sight.jobs, key=lambda found: str(found["metadata"]["name"])):
        judged = _job(sight, each)
        if judged.finding or not each["metadata"].get("ownerReferences"):
            yield judged


def _job(sight: Sight, found: Object) -> Judgement:
    what, conditions = sight.named(found), found.get("status", {}).get("conditions") or ()
    met = {each["type"]: each for each in conditions if each["status"] == "True"}
    if "Complete" in met:
        return Judgement(what, "ended well")
    pods = [pod for pod in sight.pods if _owns(found, pod)]
    if failed := met.get("Failed"):
        said = next((words for pod in pods if (words := last_words(pod))), failed.get("message", ""))
        return wrong("job", what, f"failed: {said}", _remedy(sight, found))
    reasons = [text for pod in pods if (text := trouble(pod))]
    return Judgement(what, "; ".join(["goes on still", *reasons]), verified=False)


def _remedy(sight: Sight, found: Object) -> str:
    """What to do about a Job that failed: as long as it is there, no upgrade runs it again."""
    name, kubectl = found["metadata"]["name"], f"kubectl -n {sight.namespace}"
    again = "its CronJob runs another in time" if found["metadata"].get("ownerReferences") else "upgrade with helm"
    return f"mend that ({kubectl} logs job/{name}), then {kubectl} delete job {name}, and {again}"


def _owns(job: Object, pod: Object) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner["uid"] == job["metadata"]["uid"] for owner in owners)
