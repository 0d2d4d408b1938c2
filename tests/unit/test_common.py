"""scripts/common: the shared code of all scripts."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from common.command import CommandError, capture_output, run_logged
from common.debian import find_missing_packages
from common.errors import ScriptError
from common.files import atomic_folder, compute_sha256, hash_files, write_atomically
from common.mutex import hold_lock
from common.paths import REPOSITORY, cache_path
from common.polling import NotYet, wait_for
from common.steps import Steps


def script(body: str) -> subprocess.Popen[str]:
    """Start a script whose main function has the given body."""
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    program = f"from common.errors import ScriptError, run_script\ndef main():\n{lines}\nrun_script(main)"
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "scripts")},
    )


def test_script_error_is_printed_without_traceback() -> None:
    process = script("raise ScriptError('The cup is empty. Fill it.')")
    assert process.communicate(timeout=20) == ("", "error: The cup is empty. Fill it.\n")
    assert process.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_terminates_commands_of_all_threads(number: signal.Signals) -> None:
    process = script(
        "import threading\n"
        "from common.command import capture_output\n"
        "def work():\n"
        "    try: capture_output(['sleep', '60'], timeout_s=60)\n"
        "    except ScriptError as error: print(error)\n"
        "thread = threading.Thread(target=work); thread.start()\n"
        "print('started', flush=True)\n"
        "try: threading.Event().wait(30)\n"
        "finally: thread.join()\n"
        "return 0"
    )
    assert process.stdout
    assert process.stdout.readline() == "started\n"
    time.sleep(0.3)  # until the thread has started its command
    process.send_signal(number)
    output, errors = process.communicate(timeout=10)
    assert output == "`sleep 60` failed with exit code -15.\n"
    assert errors == "Interrupted. Run the command again to continue.\n"
    assert process.returncode == 130


def test_closed_pipe_ends_a_script_without_a_message() -> None:
    process = script("for number in range(100000): print(number)\nreturn 0")
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(20) == 141
    process.stderr.close()


def test_cache_path_follows_the_xdg_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/tmp/caches")
    assert cache_path("a", "b") == Path("/var/tmp/caches/kpo-platform/a/b")


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_cache_path_is_in_home_without_a_usable_xdg_variable(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", "/home/ada")
    assert cache_path() == Path("/home/ada/.cache/kpo-platform")


def test_atomic_write_sets_the_mode_and_leaves_no_draft(tmp_path: Path) -> None:
    file = tmp_path / "new" / "secret"
    write_atomically(file, "one\n", mode=0o600)
    write_atomically(file, "two\n", mode=0o600)
    assert [(path.name, path.read_text(), path.stat().st_mode & 0o777) for path in file.parent.iterdir()] == [
        ("secret", "two\n", 0o600)
    ]


def test_atomic_folder_is_absent_after_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    with pytest.raises(RuntimeError), atomic_folder(folder) as draft:
        (draft / "half").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_atomic_folder_replaces_the_old_one_and_stale_drafts(tmp_path: Path) -> None:
    folder = tmp_path / "result"
    folder.mkdir()
    (folder / "old").touch()
    (tmp_path / ".result.draft-killed").mkdir()
    with atomic_folder(folder) as draft:
        (draft / "new").touch()
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["result", "result/new"]


def test_digest_changes_with_names_contents_and_extra_words(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("same")
    two.write_text("same")
    digests = [hash_files([one]), hash_files([two]), hash_files([one], "flag")]
    one.write_text("other")
    digests.append(hash_files([one]))
    assert len(set(digests)) == 4
    assert {len(digest) for digest in digests} == {16}


def test_sha256_is_that_of_the_file_content(tmp_path: Path) -> None:
    (tmp_path / "abc").write_text("abc")
    # The example of FIPS 180-2.
    assert compute_sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_wait_returns_the_result_and_reports_earlier_states() -> None:
    answers = iter(["nothing", "something", "it"])
    states: list[str] = []

    def probe() -> str:
        answer = next(answers)
        if answer != "it":
            raise NotYet(answer)
        return answer

    assert wait_for("it", probe, deadline_s=5, interval_s=0, progress=states.append) == "it"
    assert states == ["nothing", "something"]


def test_wait_timeout_reports_the_last_state() -> None:
    def probe() -> None:
        raise NotYet("an empty plate")

    with pytest.raises(ScriptError) as error:
        wait_for("the cake", probe, deadline_s=0.05, interval_s=0.01)
    assert str(error.value) == "Waited 0.05 s for the cake; last seen: an empty plate"


def test_command_returns_its_output_and_reads_its_stdin() -> None:
    assert (
        capture_output(["sh", "-c", "cat; echo $NAME"], stdin="from stdin\n", env={"NAME": "Ada"})
        == "from stdin\nAda\n"
    )


def test_failed_command_is_reported_with_code_and_last_lines() -> None:
    with pytest.raises(CommandError) as error:
        capture_output(["sh", "-c", "echo locked >&2; exit 3"])
    assert str(error.value) == (
        "`sh -c 'echo locked >&2; exit 3'` failed with exit code 3; its last lines:\n    locked"
    )
    assert error.value.code == 3


def test_missing_program_is_a_script_error() -> None:
    with pytest.raises(ScriptError, match=r"^`no-such-program` did not start: .*No such file"):
        capture_output(["no-such-program"])


def test_command_timeout_terminates_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    with pytest.raises(CommandError, match=r"timed out after 0\.3 s"):
        capture_output(["sh", "-c", f"sleep 60 & echo $! >{child}; wait"], timeout_s=0.3)
    state = Path(f"/proc/{child.read_text().strip()}/stat")
    wait_for("the child to end", lambda: _check_exited(state), deadline_s=5, interval_s=0.01)


def _check_exited(stat: Path) -> None:
    if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        raise NotYet("alive")


def test_command_log_is_kept_and_its_last_line_reported(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "build.log"
    messages: list[str] = []
    run_logged(["sh", "-c", "echo compiling; sleep 1.3"], log, timeout_s=10, progress=messages.append)
    assert (log.read_text(), messages) == ("compiling\n", ["compiling"])


def test_failed_logged_command_shows_only_its_own_lines(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text("of an earlier run\n")
    with pytest.raises(CommandError) as error:
        run_logged(["sh", "-c", "echo broken; exit 1"], log, timeout_s=10)
    assert str(error.value) == (
        f"`sh -c 'echo broken; exit 1'` failed with exit code 1 (log: {log}); its last lines:\n    broken"
    )


def test_steps_without_a_terminal_are_plain_lines() -> None:
    stream = io.StringIO()
    steps = Steps(stream)
    with steps.step("Build"), steps.step("Compile") as inner:
        inner.detail("half way")
        steps.note("a note")
    with pytest.raises(ScriptError), steps.step("Install"):
        raise ScriptError("no")
    with pytest.raises(KeyboardInterrupt), steps.step("Wait"):
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines() == [
        "▸ Build",
        "  ▸ Compile",
        "    a note",
        "  ✔ Compile (0.0 s)",
        "✔ Build (0.0 s)",
        "▸ Install",
        "✗ Install (0.0 s, failed)",
        "▸ Wait",
        "✗ Wait (0.0 s, interrupted)",
    ]


def test_step_on_a_terminal_is_one_redrawn_line() -> None:
    stream = io.StringIO()
    steps = Steps(stream, live=True)
    with steps.step("Build") as step:
        step.detail("half\nway")
        time.sleep(0.25)
    frames = stream.getvalue().split("\r\x1b[2K")
    assert frames[1] == "⠋ Build  0 s  half way"
    assert frames[-1].startswith("\x1b[32m✔\x1b[0m Build (0.")
    assert frames[-1].count("\n") == stream.getvalue().count("\n") == 1


def test_step_times_are_saved_in_order_of_their_ends(tmp_path: Path) -> None:
    steps = Steps(io.StringIO())
    with steps.step("Build"), steps.step("Compile"):
        pass
    steps.save(tmp_path / "times.json")
    saved = json.loads((tmp_path / "times.json").read_text())
    inner, outer = (entry.pop("seconds") for entry in saved)
    assert 0 <= inner <= outer
    assert saved == [
        {"name": "Compile", "depth": 1, "outcome": "ok"},
        {"name": "Build", "depth": 0, "outcome": "ok"},
    ]


def test_second_run_reports_the_holder_and_waits_for_it(tmp_path: Path) -> None:
    lock, entered, leave = tmp_path / "lock", threading.Event(), threading.Event()
    messages: list[str] = []

    def first_run() -> None:
        with hold_lock(lock, "painting", messages.append):
            entered.set()
            leave.wait(10)

    first = threading.Thread(target=first_run)
    first.start()
    entered.wait(10)
    threading.Timer(0.3, leave.set).start()
    with hold_lock(lock, "painting", messages.append, deadline_s=10):
        assert leave.is_set()
    first.join()
    assert messages == [f"Waiting: process {os.getpid()} is painting."]


def test_only_packages_of_absent_programs_are_missing() -> None:
    needs = {"sh": "dash", "/no/such/plugin": "plugins", "no-such-program": "programs", "no-such-either": "programs"}
    assert find_missing_packages(needs) == ["plugins", "programs"]
