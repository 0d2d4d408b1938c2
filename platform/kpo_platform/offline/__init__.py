"""DAG files without Airflow's services: read, judged, rendered and run on a laptop or in CI.

Not carried into Airflow's pods. ``python -m kpo_platform.offline`` is the process in which platformctl, which
does not know Airflow, has this done.
"""
