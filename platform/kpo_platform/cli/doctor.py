"""``platformctl doctor``: check an installation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import click

from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.findings_output import format_message
from kpo_platform.cli.options import Cluster, cluster_options, output_option
from kpo_platform.cli.output import choose_mark, format_count, sanitize, write_json, write_lines, write_message
from kpo_platform.doctor import CheckResult, check_release, read_release
from kpo_platform.finding import Severity

_EXAMPLES = """\b
Examples:
  platformctl doctor
  platformctl doctor -o json | jq '.[].finding | select(.)'
"""


@click.command("doctor", epilog=_EXAMPLES)
@output_option
@cluster_options
def command(cluster: Cluster, output: str) -> int:
    """Check an installation: its Secrets, Jobs and components.

    Changes nothing. Needs the rights of rbac/doctor.yaml. Exits with 1 if a check finds a problem, otherwise with 3 if
    a check is incomplete. A warning does not change the exit code.
    """
    results = check_release(read_release(*cluster.open("doctor")))
    if output == "json":
        write_json([asdict(result) for result in results])
    else:
        write_lines(map(_format_line, results))
    write_message(_format_summary(results))
    return _choose_exit(results)


def _format_line(result: CheckResult) -> tuple[str, str | None]:
    sign, colour = choose_mark(healthy=result.finding is None, verified=result.verified)
    if _has_severity(result, "warning"):
        sign, colour = "⚠", "yellow"
    text = f"{result.object}: {result.seen}"
    if result.finding:
        section = f"docs/doctor.md#{result.code.lower()}"
        text = f"{result.code} {result.object}: {format_message(result.finding)} ({section})"
    return sanitize(f"{sign} {text}"), colour


def _format_summary(results: Sequence[CheckResult]) -> str:
    problems = sum(_has_severity(result, "error") for result in results)
    warnings = sum(_has_severity(result, "warning") for result in results)
    incomplete = sum(not result.verified for result in results)
    parts = ["No problems found" if not problems else format_count(problems, "problem")]
    if warnings:
        parts.append(format_count(warnings, "warning"))
    if incomplete:
        parts.append(f"{format_count(incomplete, 'check')} incomplete")
    return f"{', '.join(parts)}."


def _choose_exit(results: Sequence[CheckResult]) -> Exit:
    if any(_has_severity(result, "error") for result in results):
        return Exit.FINDINGS
    return Exit.OK if all(result.verified for result in results) else Exit.INCOMPLETE


def _has_severity(result: CheckResult, severity: Severity) -> bool:
    return result.finding is not None and result.finding.severity == severity
