"""``platformctl doctor``: what is wrong with an installation, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import click

from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.findings_output import words
from kpo_platform.cli.options import Cluster, cluster_options, output_option
from kpo_platform.cli.output import clean, data_json, data_lines, mark, say
from kpo_platform.doctor import Judgement, examine, look

_EXAMPLES = """\b
Examples:
  platformctl doctor
  platformctl doctor -o json | jq '.[].finding | select(.)'
"""


@click.command("doctor", epilog=_EXAMPLES)
@output_option
@cluster_options
def command(cluster: Cluster, output: str) -> int:
    """Look at an installation and say what is wrong with it; nothing is changed.

    Looks at the secrets that the release's pods need, at its Jobs and at its components. Exits with 1 when something is
    wrong. The rights that it takes are those of rbac/doctor.yaml.
    """
    judged = examine(look(*cluster.open("doctor")))
    if output == "json":
        data_json([asdict(each) for each in judged])
    else:
        data_lines(map(_line, judged))
    found = sum(bool(each.finding) for each in judged)
    say(_summary(judged, found))
    return Exit.FINDINGS if found else Exit.OK


def _line(each: Judgement) -> tuple[str, str | None]:
    sign, colour = mark(healthy=each.finding is None, verified=each.verified)
    code = f"{each.finding.code} " if each.finding else ""
    said = words(each.finding) if each.finding else each.seen
    return clean(f"{sign} {code}{each.object}: {said}"), colour


def _summary(judged: Iterable[Judgement], found: int) -> str:
    open_ = sum(not each.verified for each in judged)
    counts = f"{found} to mend" if found else "Nothing to mend"
    return f"{counts}; {open_} not seen whole." if open_ else f"{counts}."
