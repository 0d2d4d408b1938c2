"""Parse a DAG file again and again as the dag-processor does, each time in a fork, and print what each parse took.

Runs in `.venv`, which has Airflow; `benchmarks.parsing` starts it. Arguments: the file, how often, and modules to load
beforehand in the parent, as the platform's plugin does.
"""

from __future__ import annotations

import gc
import importlib
import json
import logging
import os
import sys
import time
import traceback
from pathlib import Path

import structlog
from airflow.dag_processing.processor import DagFileParseRequest, _parse_file, _pre_import_airflow_modules

_DECIMALS = 6


def main(file: str, times: int, preloaded: list[str]) -> None:
    """Print a JSON list of CPU seconds, one per parse."""
    for name in preloaded:
        importlib.import_module(name)
    log = structlog.wrap_logger(logging.getLogger("parse"))
    _pre_import_airflow_modules(file, log)
    gc.freeze()  # as the dag-processor does before its first fork
    print(json.dumps([in_a_fork(file, log) for _ in range(times)]))


def in_a_fork(file: str, log: structlog.typing.FilteringBoundLogger) -> float:
    """Give the CPU seconds that a process of its own takes for parsing and serializing the file once."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.write(writing, str(round(parse(file, log), _DECIMALS)).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    if os.waitpid(child, 0)[1]:
        raise SystemExit(f"Parsing {file} failed; see above.")
    return float(text)


def parse(file: str, log: structlog.typing.FilteringBoundLogger) -> float:
    """Parse and serialize the file, and give the CPU seconds that took."""
    request = DagFileParseRequest(file=file, bundle_path=Path(file).parent, bundle_name="alpha", callback_requests=[])
    before = time.process_time()
    result = _parse_file(request, log)
    seconds = time.process_time() - before
    if result is None or result.import_errors or len(result.serialized_dags) != 1:
        raise RuntimeError(f"{file} holds not one good DAG: {result and result.import_errors}")
    return seconds


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
