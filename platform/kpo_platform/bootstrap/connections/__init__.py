"""Airflow connections and the clusters they point to."""
