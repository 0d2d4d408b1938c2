"""Options of the commands that read DAG files."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from kpo_platform.contract import FILE_VARIABLE
from kpo_platform.errors import TaskError, TeamError
from kpo_platform.offline.client import Sources

contract_option = click.option(
    "--contract",
    "contract_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help=f"File of the contract.  [default: {FILE_VARIABLE}, then the file saved by platformctl contract pull]",
)

team_option = click.option(
    "--team", metavar="TEAM", help="Team that owns all the DAGs, as in a repository of one team."
)


@contextmanager
def convert_usage_errors() -> Iterator[None]:
    """Convert errors about teams and tasks to usage errors.

    Raises:
        UsageError: the team or task does not exist, or the task needs an option.
    """
    try:
        yield
    except (TeamError, TaskError) as error:
        raise click.UsageError(str(error)) from error


def _parse_object(_: click.Context, param: click.Parameter, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise click.BadParameter('expected a JSON object, such as {"day": 1}.', param=param)
    return content


def _parse_results(_: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> dict[str, Any]:
    pairs = [text.partition("=") for text in texts]
    try:
        return {task: json.loads(value) for task, _, value in pairs}
    except ValueError:
        raise click.BadParameter("expected TASK=JSON, such as hello='{\"answer\": 42}'.", param=param) from None


def dag_run_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add DAG, TASK and the options of the DAG run to a command; it gets ``sources`` and ``request``."""

    @click.argument("dag")
    @click.argument("task")
    @click.option(
        "--folder",
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=Path(),
        help="DAGs folder; a subfolder with the name of a team holds that team's DAGs.  [default: current folder]",
    )
    @team_option
    @click.option(
        "--map-index", metavar="INDEX", type=click.IntRange(min=0), help="Index of a mapped task's pod, counted from 0."
    )
    @click.option("--params", metavar="JSON", callback=_parse_object, default="{}", help="Params of the DAG run.")
    @click.option(
        "--xcom",
        "results",
        metavar="TASK=JSON",
        callback=_parse_results,
        multiple=True,
        help="Result of another task; may be repeated.",
    )
    @click.option("--run-id", metavar="ID", help="Id of the DAG run; pod labels and the idempotency key depend on it.")
    @click.option(
        "--logical-date",
        type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
        metavar="DATE",
        help="Logical date of the DAG run in UTC, such as 2026-01-31 or 2026-01-31T06:00:00; for templates such as "
        "{{ ds }}.  [default: now]",
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
        run_settings = {
            "run_id": run_id,
            "logical_date": (logical_date or datetime.now(UTC)).replace(tzinfo=UTC).isoformat(),
            "map_index": -1 if map_index is None else map_index,
            "params": params,
            "results": results,
        }
        request = {"dag": dag, "task": task, "run_settings": run_settings}
        return command(sources=_select_sources(dag, folder, team), request=request, **rest)

    return wrapped


def _select_sources(dag: str, folder: Path, team: str | None) -> Sources:
    """Return the DAG file, or the folder to search for a DAG with this id."""
    file = Path(dag)
    if not file.is_file():
        if file.suffix == ".py":
            raise click.UsageError(f"File {dag} does not exist. Pass a DAG file, or the id of a DAG in --folder.")
        return Sources(folder, None, team)
    if file.resolve().is_relative_to(folder.resolve()):
        return Sources(folder, file, team)
    if folder == Path():
        return Sources(file.parent, file, team)
    raise click.UsageError(f"{dag} is not in {folder}. Pass the folder of its DAGs with --folder.")
