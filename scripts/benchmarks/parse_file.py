"""Measure parses of a DAG file in forks, as the dag-processor makes them.

Runs in `.venv`, which contains Airflow; `benchmarks.parsing` starts it. Arguments: the file, the number of parses, and
modules to import in the parent first, as the platform's plugin does.
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
    print(json.dumps([parse_in_fork(file, log) for _ in range(times)]))


def parse_in_fork(file: str, log: structlog.typing.FilteringBoundLogger) -> float:
    """Return the CPU seconds of one parse and serialization in a child process."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.write(write_end, str(round(measure_parse(file, log), _DECIMALS)).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        text = pipe.read()
    if os.waitpid(child, 0)[1]:
        raise SystemExit(f"Parsing {file} failed. See the output above.")
    return float(text)


def measure_parse(file: str, log: structlog.typing.FilteringBoundLogger) -> float:
    """Parse and serialize the file, and return the CPU seconds."""
    request = DagFileParseRequest(file=file, bundle_path=Path(file).parent, bundle_name="alpha", callback_requests=[])
    before = time.process_time()
    result = _parse_file(request, log)
    seconds = time.process_time() - before
    if result is None or result.import_errors or len(result.serialized_dags) != 1:
        raise RuntimeError(f"{file} does not contain exactly one valid DAG: {result and result.import_errors}")
    return seconds


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
