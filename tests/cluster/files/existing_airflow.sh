# All components of an Airflow in one container. Its API server serves only the execution API.
set -eu
airflow db migrate
airflow variables set near_key "of near"
airflow variables set far_key "of far"
airflow api-server --apps execution --port 8081 &
airflow dag-processor &
airflow triggerer &
airflow scheduler
