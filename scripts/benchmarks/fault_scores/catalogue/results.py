"""Results that are missing or cannot be used; only the task reads them."""

from __future__ import annotations

from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import Build, Engine, Expected, Fault, Json

_TASKS: tuple[Engine, ...] = ("team", "stock")
_FILE = "/airflow/xcom/return.json"


def not_json(draw: Draw) -> Fault:
    """A text without quotation marks."""
    text = draw.name()
    expected = Expected(("KPO-RES102",), (r"JSON", text), advice="json|quotation|write")
    return _write("result-text", expected, f"echo {text} > {_FILE}")


def too_large(draw: Draw) -> Fault:
    """A result that does not fit into a message."""
    size = draw.randint(5000, 9000)
    expected = Expected(("KPO-RES103",), (r"large|4,?09\d|bytes",), advice="sidecar|volume")
    program = f"(printf '\"'; head -c {size} /dev/zero | tr \"\\0\" a; printf '\"') > {_FILE}"
    return Fault("result-size", expected, container=_shell(program), arguments={"xcom": "message"}, engines=("team",))


def no_number(_: Draw) -> Fault:
    """A number that JSON does not have."""
    expected = Expected(("KPO-RES105",), (r"NaN",), advice="null|text|NaN")
    return _write("result-nan", expected, f"echo '{{\"rate\": NaN}}' > {_FILE}")


def not_wanted(draw: Draw) -> Fault:
    """A result of a task without xcom."""
    expected = Expected(("KPO-RES106",), (r"xcom",), advice="xcom", is_healable=True)
    container = _shell(f"echo '\"{draw.name()}\"' > {_FILE}")
    return Fault("result-unwanted", expected, container=container)


def moved(draw: Draw) -> Fault:
    """A result that is moved onto its file."""
    expected = Expected(("KPO-RES107",), (r"return.json",), advice="direct|sidecar")
    program = f"echo '\"{draw.name()}\"' > /tmp/result && mv /tmp/result {_FILE}"
    return Fault("result-moved", expected, container=_shell(program), arguments={"xcom": "message"}, engines=("team",))


def empty(_: Draw) -> Fault:
    """A task with xcom whose program writes nothing: it succeeds, with a warning."""
    expected = Expected(("KPO-RES101",), (r"empty|no result|not written|return.json",), advice="xcom|write")
    return _write("result-empty", expected, "true")


def not_utf8(_: Draw) -> Fault:
    """A result in another encoding: the task succeeds, with a warning."""
    expected = Expected(("KPO-RES104",), (r"UTF-8",), advice="UTF-8")
    return _write("result-encoding", expected, f"printf '\"\\344pfel\"' > {_FILE}")


def _write(name: str, expected: Expected, program: str) -> Fault:
    return Fault(name, expected, container=_shell(program), arguments={"xcom": True}, engines=_TASKS)


def _shell(program: str) -> Json:
    return {"command": ["sh", "-c", f"echo started; {program}"]}


FAULTS: tuple[Build, ...] = (not_json, too_large, no_number, not_wanted, moved, empty, not_utf8)
"""The kinds of this family."""
