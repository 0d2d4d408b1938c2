"""Airflow DAG bundles of teams."""
