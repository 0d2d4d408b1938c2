"""airflow.guards.triggers.child_process: Airflow's TriggerRunner with the guard."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.executors.workloads.trigger import RunTrigger
from airflow.jobs.triggerer_job_runner import TriggerEventEntry, TriggerRunner, messages
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk.execution_time.comms import _RequestFrame
from airflow.triggers.base import TriggerEvent

from kpo_platform.airflow.guards.triggers.child_process import guard_runner
from unit.support.contracts import CONTRACT, write_contract
from unit.support.stored_triggers import CALLBACK, DATE, EXEC_KUBECONFIG, POD, TASK, pod_trigger, store

PAST = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

Create = Callable[..., TriggerRunner]


class GuardedRunner(TriggerRunner):
    """A runner of its own, so that the guard does not change Airflow for the other tests."""


guard_runner(GuardedRunner)


@pytest.fixture
def create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Create:
    """Create the triggers of some rows in a runner, and run them until all have ended."""
    file = tmp_path / "contract.json"
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(file))

    def make(*rows: tuple[str, Any], isolation: dict[str, Any] | None = None, **fields: Any) -> TriggerRunner:
        write_contract(file, {**CONTRACT, "isolation": isolation or {}})
        runner = GuardedRunner()
        for number, (class_path, arguments) in enumerate(rows):
            stored = arguments if isinstance(arguments, str) else json.dumps(arguments)
            workload = RunTrigger(id=number, classpath=class_path, encrypted_kwargs=stored, **fields)
            # The model of a task instance has many fields, of which the runner reads only these.
            names = {"id": TASK, "dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1, "try_number": 1}
            workload.ti = SimpleNamespace(**names, context_carrier=None)  # type: ignore[assignment]
            runner.to_create.append(workload)
        asyncio.run(_run(runner))
        return runner

    return make


async def _run(runner: TriggerRunner) -> None:
    await runner.create_triggers()
    tasks = [details["task"] for details in runner.triggers.values()]
    if tasks:
        await asyncio.wait(tasks, timeout=10)
    await runner.cleanup_finished_triggers()


def list_failures(runner: TriggerRunner) -> dict[int, str]:
    return {trigger_id: str(error) for trigger_id, error in runner.failed_triggers}


GOOD = store(DateTimeTrigger(PAST))
BOGUS = (POD, {**store(pod_trigger())[1], "on_finish_action": "bogus"})


def test_refused_trigger_imports_nothing_and_others_run(create: Create, tmp_path: Path):
    program = tmp_path / "ran"
    (tmp_path / "planted.py").write_text(f"open({str(program)!r}, 'w')\nclass Planted: pass\n")
    attacks = [
        ("subprocess.getoutput", {"cmd": f"touch {program}"}),
        ("planted.Planted", {}),
        (CALLBACK, {"callback_path": "subprocess.getoutput", "callback_kwargs": {"cmd": f"touch {program}"}}),
        (POD, {**store(pod_trigger())[1], "config_dict": EXEC_KUBECONFIG}),
        BOGUS,
        (DATE, "gAAAAAB-not-encrypted-with-our-key"),
        (DATE, '{"moment": '),
        (DATE, {"moment": {"__classname__": "datetime.datetime", "__version__": 2, "__data__": 1e300}}),
        (DATE, {"moment": {"__classname__": "builtins.set", "__version__": 1, "__data__": [[]]}}),
        (DATE, {"moment": "yesterday"}),
        (DATE, {}),
    ]
    runner = create(*attacks, GOOD)
    assert sorted(list_failures(runner)) == list(range(len(attacks)))
    assert [entry.trigger_id for entry in runner.events] == [len(attacks)]
    assert not program.exists()


def test_constructor_error_of_any_kind_fails_its_trigger(create: Create, monkeypatch: pytest.MonkeyPatch):
    errors = [SystemExit(3), KeyboardInterrupt(), ValueError("no"), asyncio.CancelledError()]
    original, raised = DateTimeTrigger.__init__, list(errors)

    def fail(self: DateTimeTrigger, **arguments: Any) -> None:
        if raised:
            raise raised.pop(0)
        original(self, **arguments)

    monkeypatch.setattr(DateTimeTrigger, "__init__", fail)
    runner = create(*[GOOD] * 5)
    assert list_failures(runner) == {
        0: "DateTimeTrigger cannot be created: SystemExit: 3",
        1: "DateTimeTrigger cannot be created: KeyboardInterrupt: ",
        2: "DateTimeTrigger cannot be created: ValueError: no",
        3: "DateTimeTrigger cannot be created: CancelledError: ",
    }
    assert [entry.trigger_id for entry in runner.events] == [4]


def test_bogus_argument_names_the_constructors_error(create: Create):
    assert list_failures(create(BOGUS)) == {
        0: "KubernetesPodTrigger cannot be created: ValueError: 'bogus' is not a valid OnFinishAction"
    }


def test_trigger_that_exits_the_process_only_fails(create: Create, monkeypatch: pytest.MonkeyPatch):
    async def run(self: DateTimeTrigger) -> Any:
        raise SystemExit(1)
        yield

    monkeypatch.setattr(DateTimeTrigger, "run", run)
    assert list_failures(create(GOOD)) == {0: "The trigger raised SystemExit"}


def test_task_with_its_dag_is_not_rendered(create: Create):
    runner = create(GOOD, dag_data={}, dag_run_data={})
    cause = "its arguments would be rendered in the triggerer. Leave out start_from_trigger."
    assert list_failures(runner) == {0: f"The triggerer refuses the trigger '{DATE}': {cause}"}


def test_allowed_path_that_is_no_class_of_triggers_fails(create: Create):
    entries = [{"class": "subprocess.getoutput"}, {"class": "airflow.triggers.testing.SuccessTrigger"}]
    rows = [("subprocess.getoutput", {"cmd": "true"}), ("airflow.triggers.testing.SuccessTrigger", {})]
    runner = create(*rows, isolation={"triggers": entries})
    (failure,) = list_failures(runner).values()
    assert "getoutput" in failure and failure.endswith("is not a class of triggers. Correct triggerer.allow.")
    assert [entry.trigger_id for entry in runner.events] == [1]


class Comms:
    """The end of the socket to the main process: encodes messages as Airflow does, and answers each one."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def asend(self, message: Any) -> Any:
        _RequestFrame(id=0, body=message.model_dump()).as_bytes()
        self.sent.append(message)
        return messages.TriggerStateSync(to_create=[], to_cancel=set())


def test_event_or_error_that_cannot_be_sent_fails_its_trigger(create: Create):
    runner = create()
    runner.comms_decoder = comms = Comms()  # type: ignore[assignment]
    for number, payload in enumerate(["good", 2**70, "\ud800"]):
        runner.events.append(TriggerEventEntry(number, TriggerEvent(payload), None))
    runner.failed_triggers.append((3, ValueError("a\0b\ud800")))
    asyncio.run(runner.sync_state_to_supervisor([]))
    asyncio.run(runner.sync_state_to_supervisor([]))
    assert [[entry.trigger_id for entry in message.events or ()] for message in comms.sent] == [[0], []]
    failures = [{number: lines[-1] for number, lines in message.failures or ()} for message in comms.sent]
    assert failures[0] == {3: "ValueError: a\\x00b\\ud800\n"}
    assert sorted(failures[1]) == [1, 2]


def test_disabled_isolation_leaves_airflow_as_it_is(create: Create):
    runner = create(("airflow.triggers.testing.SuccessTrigger", {}), isolation={"enabled": False})
    assert [entry.trigger_id for entry in runner.events] == [0]
    with pytest.raises(ValueError, match="bogus"):
        create(BOGUS, isolation={"enabled": False})
