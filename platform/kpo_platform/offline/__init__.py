"""Lint, render and run the tasks of DAG files without Airflow's services, on a laptop or in CI.

Two processes. The parent (`client`, `environment`) belongs to platformctl or pytest and never imports Airflow. For
each request it starts a child, ``python -m kpo_platform.offline`` (`__main__` and all other modules here), which
imports Airflow and the DAG files. They talk by pipes:

- stdin: one request as JSON: ``command`` (lint, render or run) and its arguments. ``until`` in it, in seconds since the
  epoch, is the deadline.
- stdout: one JSON object a line: any number of events (``{"event": …}``), then the answer (``{"result": …}``, or
  ``{"error": message, "kind": class of kpo_platform.errors}``).
- stderr: whatever the DAG files, Airflow and pods print.
- SIGINT: the parent sends it on Ctrl-C; the child then deletes its pod and still answers.

This package is not part of the chart.
"""
