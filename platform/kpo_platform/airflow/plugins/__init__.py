"""Airflow plugins: settings reload and the pod link."""
