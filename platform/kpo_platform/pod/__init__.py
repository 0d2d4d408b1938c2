"""Pods as plain data: layers of v1 Pod dictionaries, merged by name into one. No Airflow, no API."""
