"""Model of the isolation between teams: what a task's token and a task's trigger may do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kpo_platform.contract.team import ContractModel

Action = Literal["trigger", "xcom", "state", "asset"]
"""What a grant allows: start and clear runs, read XComs, read states of tasks and runs, use assets."""

UnlistedAccess = Literal["write", "read", "none"]
"""What every team may do with a name that no team owns and that `isolation.shared` does not list."""


class Grant(ContractModel):
    """The right of team ``from_team`` to use things of team ``to``."""

    from_team: str = Field(alias="from")
    to: str
    do: tuple[Action, ...]


class SharedNames(ContractModel):
    """Names that every team may read and write, although they begin with a team's name; ``*`` is a wildcard."""

    connections: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    assets: tuple[str, ...] = ()


class AllowedTrigger(ContractModel):
    """A trigger that tasks may use in addition to the default ones.

    Attributes:
        class_path: the full path of the trigger's class, ``class`` in JSON.
        arguments: name of an argument to the values that it may have. Arguments that are not named are not restricted.
    """

    class_path: str = Field(alias="class")
    arguments: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Isolation(ContractModel):
    """The isolation between teams.

    Attributes:
        enabled: whether Airflow's API server and triggerer check requests and triggers.
        bundles: name of a DAG bundle to the team that owns it, in addition to the teams' own bundles.
        shared: names that belong to no team.
        unlisted: access to names that neither a team owns nor `shared` lists.
        grants: rights between teams.
        triggers: triggers that tasks may use in addition to the default ones.
    """

    enabled: bool = True
    bundles: dict[str, str] = Field(default_factory=dict)
    shared: SharedNames = SharedNames()
    unlisted: UnlistedAccess = "write"
    grants: tuple[Grant, ...] = ()
    triggers: tuple[AllowedTrigger, ...] = ()
