"""Airflow cluster policies: team access, checks of stock operators, pod mutation."""
