"""platformctl run in a process of its own, as a user interrupts it."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from pathlib import Path

from unit.support.http_server import Request, serving
from unit.support.platformctl import environment, program
from unit.support.pod_server import Pods
from unit.support.sample_run import write_sample


def test_second_ctrl_c_exits_at_once_and_names_the_pod(tmp_path: Path):
    is_blocked = threading.Event()

    def block_delete(request: Request) -> None:
        if request.method == "DELETE":
            is_blocked.set()
            time.sleep(30)

    pods, pipe = Pods(code=None, log="hello from the pod\n", hook=block_delete), subprocess.PIPE
    with serving(pods) as server:
        command = program(*write_sample(tmp_path, server)("made"))
        with subprocess.Popen(command, env=environment(), text=True, stdout=pipe, stderr=pipe) as process:
            assert process.stderr is not None
            log_line = next(line for line in process.stderr if "hello from the pod" in line)
            process.send_signal(signal.SIGINT)
            assert is_blocked.wait(30)
            process.send_signal(signal.SIGINT)
            start = time.monotonic()
            last = process.stderr.readlines()[-1]
    assert time.monotonic() - start < 25  # the API server answers after 30 s
    assert (process.returncode, log_line) == (130, "[base] hello from the pod\n")
    assert last == f"! The pod may still exist. Delete it: kubectl -n team-alpha delete pod {pods.name}\n"
