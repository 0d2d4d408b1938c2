"""All code that Airflow imports: operators, decorators, policies, plugins and bundles."""
