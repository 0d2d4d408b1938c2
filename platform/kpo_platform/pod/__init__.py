"""Build pods as plain v1 Pod dictionaries, without Airflow and without the Kubernetes API."""
