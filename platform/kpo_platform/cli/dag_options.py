"""Options of the commands that read DAG files."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from kpo_platform.contract import FILE_VARIABLE
from kpo_platform.offline.client import Sources

contract_option = click.option(
    "--contract",
    "contract_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"The contract.  [default: {FILE_VARIABLE}, then what platformctl contract pull saved]",
)

team_option = click.option(
    "--team", metavar="TEAM", help="Whose DAGs all files are, as in a repository of that team's own."
)


def _object(_: click.Context, param: click.Parameter, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise click.BadParameter('expected a JSON object, such as {"day": 1}.', param=param)
    return content


def _results(_: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    pairs = [text.partition("=") for text in texts]
    try:
        return {task: json.loads(value) for task, _, value in pairs}
    except ValueError:
        raise click.BadParameter("expected TASK=JSON, such as hello='{\"answer\": 42}'.", param=param) from None


def attempt_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command DAG, TASK and the run that is imagined; it gets ``sources``, and ``request`` for the process."""

    @click.argument("dag")
    @click.argument("task")
    @click.option(
        "--folder",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=Path(),
        help="The folder of the DAGs: folders in it that are named as a team hold that team's.  [default: this one]",
    )
    @team_option
    @click.option("--map-index", type=click.IntRange(min=0), help="Which pod of a mapped task, counted from 0.")
    @click.option("--params", metavar="JSON", callback=_object, default="{}", help="Parameters of the run.")
    @click.option(
        "--xcom",
        "results",
        metavar="TASK=JSON",
        callback=_results,
        multiple=True,
        help="The result of another task; may be repeated.",
    )
    @click.option("--run-id", help="The run's id, which labels and the idempotency key are made of.")
    @click.option(
        "--logical-date",
        type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
        help="The run's date in UTC, for {{ ds }} and the like.  [default: now]",
    )
    @wraps(command)
    def wrapped(
        *,
        dag: str,
        task: str,
        folder: Path,
        team: str | None,
        map_index: int | None,
        params: dict[str, Any],
        results: dict[str, Any],
        run_id: str | None,
        logical_date: datetime | None,
        **rest: Any,
    ) -> int:
        attempt = {
            "run_id": run_id,
            "logical_date": (logical_date or datetime.now(UTC)).replace(tzinfo=UTC).isoformat(),
            "map_index": -1 if map_index is None else map_index,
            "params": params,
            "results": results,
        }
        request = {"dag": dag, "task": task, "attempt": attempt}
        return command(sources=_sources(dag, folder, team), request=request, **rest)

    return wrapped


def _sources(dag: str, folder: Path, team: str | None) -> Sources:
    """The file that DAG names, or the folder in which there is a DAG of this id."""
    file = Path(dag)
    if not file.is_file():
        if file.suffix == ".py":
            raise click.UsageError(f"There is no file {dag}; expected a DAG file, or the id of a DAG in --folder.")
        return Sources(folder, None, team)
    if file.resolve().is_relative_to(folder.resolve()):
        return Sources(folder, file, team)
    if folder == Path():
        return Sources(file.parent, file, team)
    raise click.UsageError(f"{dag} does not lie in {folder}: name the folder of its DAGs with --folder.")
