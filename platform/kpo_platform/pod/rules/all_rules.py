"""All rules for a team's pod, in the order of their messages.

Callers: ``platformctl lint``, TeamPodOperator when a DAG is parsed and again after rendering, and the cluster policy
for stock operators.
"""

from __future__ import annotations

from kpo_platform.contract import Contract, Team
from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import remove_templates
from kpo_platform.pod.merge import Json
from kpo_platform.pod.rules.credentials import check_credentials
from kpo_platform.pod.rules.images import check_images, list_platform_containers
from kpo_platform.pod.rules.labels import check_labels
from kpo_platform.pod.rules.locked_fields import check_locked_fields
from kpo_platform.pod.rules.pod_security import check_pod_security
from kpo_platform.pod.rules.quota import check_quota
from kpo_platform.pod.rules.references import check_references
from kpo_platform.pod.rules.results import check_result
from kpo_platform.pod.rules.syntax import check_commands, check_syntax
from kpo_platform.pod.xcom import ResultMode


def check_pod(
    pod: Json,
    team_name: str,
    team: Team,
    contract: Contract,
    *,
    rendered: bool = True,
    complete: bool = True,
    result_mode: ResultMode = "",
) -> list[Refusal]:
    """Check a composed pod against every rule.

    Args:
        pod: the whole v1 Pod, with the registry prefix applied.
        team_name: the team's name.
        team: the team of this name.
        contract: the contract that the team is in.
        rendered: False before Jinja rendering; strings with templates are then not checked.
        complete: False while a layer of the pod is not known yet; references are then not checked.
        result_mode: how the result of the task leaves the pod.

    Returns:
        All refusals, each one once.
    """
    known = pod if rendered else remove_templates(pod)
    platform_containers = list_platform_containers(contract, team)
    refusals = [
        *check_locked_fields(known, team_name, team),
        *check_labels(known, team_name, team, contract.label_policy),
        *check_images(known, team_name, team, platform_containers),
        *check_quota(known, team_name, team),
        *check_pod_security(known, team_name, team),
        *check_credentials(known),
        *check_syntax(known),
        *(check_commands(known) if rendered else ()),
        *(check_references(known, platform_containers) if complete else ()),
        *check_result(known, result_mode, rendered=rendered),
    ]
    return list(dict.fromkeys(refusals))
