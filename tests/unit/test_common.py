"""scripts/common: what all scripts lean on."""

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

from common.debian import missing_packages
from common.errors import ScriptError
from common.files import digest_of_files, sha256_of, whole_folder, write_whole
from common.mutex import only_one_run
from common.paths import REPOSITORY, cache_folder
from common.run import CommandError, capture, run_logged
from common.steps import Steps
from common.waiting import NotYet, wait_for


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


def test_an_error_for_people_is_one_sentence_without_a_traceback() -> None:
    process = script("raise ScriptError('The cup is empty: fill it.')")
    assert process.communicate(timeout=20) == ("", "error: The cup is empty: fill it.\n")
    assert process.returncode == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_commands_of_all_threads_and_exits_with_130(number: signal.Signals) -> None:
    process = script(
        "import threading\n"
        "from common.run import capture\n"
        "def work():\n"
        "    try: capture(['sleep', '60'], timeout_s=60)\n"
        "    except ScriptError as error: print(error)\n"
        "thread = threading.Thread(target=work); thread.start()\n"
        "print('begun', flush=True)\n"
        "try: threading.Event().wait(30)\n"
        "finally: thread.join()\n"
        "return 0"
    )
    assert process.stdout
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.3)  # until the thread has started its command
    process.send_signal(number)
    said, complained = process.communicate(timeout=10)
    assert said == "`sleep 60` failed with exit code -15.\n"
    assert complained == "Interrupted; run it again to go on.\n"
    assert process.returncode == 130


def test_a_reader_that_leaves_ends_a_script_quietly() -> None:
    process = script("for number in range(100000): print(number)\nreturn 0")
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(20) == 141
    process.stderr.close()


def test_the_cache_is_where_the_xdg_specification_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/tmp/caches")
    assert cache_folder("a", "b") == Path("/var/tmp/caches/kpo-platform/a/b")


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_the_cache_is_in_the_home_folder_without_a_usable_xdg_variable(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", "/home/ada")
    assert cache_folder() == Path("/home/ada/.cache/kpo-platform")


def test_a_whole_file_has_its_mode_and_leaves_no_draft(tmp_path: Path) -> None:
    file = tmp_path / "new" / "secret"
    write_whole(file, "one\n", mode=0o600)
    write_whole(file, "two\n", mode=0o600)
    assert [(path.name, path.read_text(), path.stat().st_mode & 0o777) for path in file.parent.iterdir()] == [
        ("secret", "two\n", 0o600)
    ]


def test_a_folder_appears_only_when_its_making_ends_well(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    with pytest.raises(RuntimeError), whole_folder(folder) as draft:
        (draft / "half").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_replaces_the_old_one_and_sweeps_drafts_of_killed_runs(tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "old").touch()
    (tmp_path / ".made.draft-killed").mkdir()
    with whole_folder(folder) as draft:
        (draft / "new").touch()
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")) == ["made", "made/new"]


def test_a_digest_changes_with_names_contents_and_extra_words(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("same")
    two.write_text("same")
    digests = [digest_of_files([one]), digest_of_files([two]), digest_of_files([one], "flag")]
    one.write_text("other")
    digests.append(digest_of_files([one]))
    assert len(set(digests)) == 4
    assert {len(digest) for digest in digests} == {16}


def test_the_sha256_of_a_file_is_that_of_its_content(tmp_path: Path) -> None:
    (tmp_path / "abc").write_text("abc")
    # The example of FIPS 180-2.
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_wait_gives_what_the_probe_found_and_tells_what_it_saw_before() -> None:
    answers = iter(["nothing", "something", "it"])
    seen: list[str] = []

    def probe() -> str:
        answer = next(answers)
        if answer != "it":
            raise NotYet(answer)
        return answer

    assert wait_for("it", probe, deadline_s=5, interval_s=0, say=seen.append) == "it"
    assert seen == ["nothing", "something"]


def test_a_wait_that_is_over_says_what_was_last_seen() -> None:
    def probe() -> None:
        raise NotYet("an empty plate")

    with pytest.raises(ScriptError) as error:
        wait_for("the cake", probe, deadline_s=0.05, interval_s=0.01)
    assert str(error.value) == "Waited 0.05 s for the cake; last seen: an empty plate"


def test_a_command_gives_its_output_and_reads_its_input() -> None:
    assert capture(["sh", "-c", "cat; echo $NAME"], stdin="from stdin\n", env={"NAME": "Ada"}) == "from stdin\nAda\n"


def test_a_failed_command_is_named_with_its_code_and_last_words() -> None:
    with pytest.raises(CommandError) as error:
        capture(["sh", "-c", "echo locked >&2; exit 3"])
    assert str(error.value) == (
        "`sh -c 'echo locked >&2; exit 3'` failed with exit code 3; its last words:\n    locked"
    )
    assert error.value.code == 3


def test_a_command_that_does_not_exist_is_an_error_for_people() -> None:
    with pytest.raises(ScriptError, match=r"^`no-such-program` could not be started: .*No such file"):
        capture(["no-such-program"])


def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    child = tmp_path / "child"
    with pytest.raises(CommandError, match=r"took longer than 0\.3 s"):
        capture(["sh", "-c", f"sleep 60 & echo $! >{child}; wait"], timeout_s=0.3)
    state = Path(f"/proc/{child.read_text().strip()}/stat")
    wait_for("the child to end", lambda: _gone(state), deadline_s=5, interval_s=0.01)


def _gone(stat: Path) -> None:
    if stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z":
        raise NotYet("alive")


def test_the_log_of_a_command_is_kept_and_its_latest_line_told(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "build.log"
    said: list[str] = []
    run_logged(["sh", "-c", "echo compiling; sleep 1.3"], log, timeout_s=10, say=said.append)
    assert (log.read_text(), said) == ("compiling\n", ["compiling"])


def test_a_failed_command_with_a_log_shows_only_its_own_last_words(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    log.write_text("of an earlier run\n")
    with pytest.raises(CommandError) as error:
        run_logged(["sh", "-c", "echo broken; exit 1"], log, timeout_s=10)
    assert str(error.value) == (
        f"`sh -c 'echo broken; exit 1'` failed with exit code 1 (log: {log}); its last words:\n    broken"
    )


def test_steps_without_a_terminal_are_plain_lines() -> None:
    stream = io.StringIO()
    steps = Steps(stream)
    with steps.step("Build"), steps.step("Compile") as inner:
        inner.detail("half way")
        steps.note("a word")
    with pytest.raises(ScriptError), steps.step("Install"):
        raise ScriptError("no")
    with pytest.raises(KeyboardInterrupt), steps.step("Wait"):
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines() == [
        "▸ Build",
        "  ▸ Compile",
        "    a word",
        "  ✔ Compile (0.0 s)",
        "✔ Build (0.0 s)",
        "▸ Install",
        "✗ Install (0.0 s, failed)",
        "▸ Wait",
        "✗ Wait (0.0 s, interrupted)",
    ]


def test_a_step_on_a_terminal_is_one_line_with_time_and_detail_that_is_redrawn() -> None:
    stream = io.StringIO()
    steps = Steps(stream, live=True)
    with steps.step("Build") as step:
        step.detail("half\nway")
        time.sleep(0.25)
    frames = stream.getvalue().split("\r\x1b[2K")
    assert frames[1] == "⠋ Build  0 s  half way"
    assert frames[-1].startswith("\x1b[32m✔\x1b[0m Build (0.")
    assert frames[-1].count("\n") == stream.getvalue().count("\n") == 1


def test_the_times_of_steps_are_saved_in_the_order_in_which_they_ended(tmp_path: Path) -> None:
    steps = Steps(io.StringIO())
    with steps.step("Build"), steps.step("Compile"):
        pass
    steps.save(tmp_path / "times.json")
    saved = json.loads((tmp_path / "times.json").read_text())
    inner, outer = (each.pop("seconds") for each in saved)
    assert 0 <= inner <= outer
    assert saved == [
        {"name": "Compile", "depth": 1, "outcome": "ok"},
        {"name": "Build", "depth": 0, "outcome": "ok"},
    ]


def test_a_second_run_says_who_it_waits_for_and_goes_on_when_that_one_ends(tmp_path: Path) -> None:
    lock, entered, leave = tmp_path / "lock", threading.Event(), threading.Event()
    said: list[str] = []

    def first_run() -> None:
        with only_one_run(lock, "painting", said.append):
            entered.set()
            leave.wait(10)

    first = threading.Thread(target=first_run)
    first.start()
    entered.wait(10)
    threading.Timer(0.3, leave.set).start()
    with only_one_run(lock, "painting", said.append, deadline_s=10):
        assert leave.is_set()
    first.join()
    assert said == [f"Waiting: process {os.getpid()} is painting."]


def test_only_packages_whose_programs_are_absent_are_missing() -> None:
    needs = {"sh": "dash", "/no/such/plugin": "plugins", "no-such-program": "programs", "no-such-either": "programs"}
    assert missing_packages(needs) == ["plugins", "programs"]
