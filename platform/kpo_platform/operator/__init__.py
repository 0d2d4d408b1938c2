"""Former paths of modules in ``kpo_platform.airflow``, kept for configuration files that name them."""
