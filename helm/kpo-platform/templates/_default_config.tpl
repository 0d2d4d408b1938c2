{{/* context → the chart's default settings without the teams' settings: {section: {key: value}} */}}
{{- define "kpo-platform.defaultAirflowConfig" -}}
core:
  executor: {{ .Values.executor }}
  auth_manager: airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager
  load_examples: "False"
  {{- with include "kpo-platform.sharedDagsFolder" . }}
  dags_folder: {{ . }}
  {{- end }}
  # A connection to another cluster has a kubeconfig in its extra field. Airflow masks it in its API, UI and logs.
  sensitive_var_conn_names: kube_config,client-key-data
  execution_api_server_url: {{ include "kpo-platform.executionApiUrl" . }}
database:
  # The same upper limit as Airflow's default, 5 connections and 10 more that are closed after each use. An API server
  # that answers 16 tasks at a time would open about three connections per task.
  sql_alchemy_pool_size: "15"
  sql_alchemy_max_overflow: "0"
{{- with .Values.publicUrl }}
api:
  base_url: {{ trimSuffix "/" . }}
{{- end }}
execution_api:
  # Airflow renews a task's token in the last fifth of its lifetime. The token must outlive the 300 s after which a task
  # without heartbeat fails.
  jwt_expiration_time: "1500"
{{- if eq .Values.executor "KubernetesExecutor" }}
kubernetes_executor:
  namespace: {{ .Release.Namespace | quote }}
  pod_template_file: /opt/kpo-platform/config/task-pod.yaml
{{- end }}
scheduler:
  # A killed scheduler leaves orphaned tasks. The next scheduler must adopt them before Airflow fails them, 300 s after
  # their last heartbeat; Airflow's default interval is 300 s too.
  orphaned_tasks_check_interval: "60"
  # An idle scheduler looks for new runs and ended tasks at this interval, in seconds, and a run waits for two or more such
  # looks. Airflow's default is 1. A shorter interval needs more CPU: docs/benchmarks.md.
  scheduler_idle_sleep_time: "0.6"
triggerer:
  # Deferred tasks share one watch, so a triggerer can hold more than Airflow's default of 1000, and after a restart take
  # up more than 50 of them per second.
  capacity: "5000"
  max_trigger_to_select_per_loop: "500"
dag_processor:
  dag_bundle_storage_path: /opt/airflow/bundles
  # Interval for checking which repositories are due; each team sets the refresh interval of its own repository.
  bundle_refresh_check_interval: "1"
workers:
  # The restart of a single API server takes a minute, on a busy node several. Tasks retry every request, including
  # heartbeats, for about 200 s, at least every 10 s; with Airflow's defaults a task fails after 10 s. A worker without an
  # answer by then ends its task, before Airflow fails the task after 300 s and starts its next try on another worker.
  execution_api_retries: "40"
  execution_api_retry_wait_max: "10"
  max_failed_heartbeats: "1"
{{ include "kpo-platform.statsdConfig" . }}
logging:
  base_log_folder: /opt/airflow/logs
  # The DAG processor has no log volume, and one file per DAG file and day would fill its disk.
  dag_processor_log_target: stdout
  colored_console_log: "False"
{{- end -}}
