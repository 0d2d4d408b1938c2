"""What DAG authors touch. The only part of the package that imports Airflow."""
