{{/* Airflow's settings. What changes with the teams is in the same mounted file as the rest, but counts for the checksum of
the DAG processor alone: it is the only one that must start again to see a new repository. */}}

{{/* context → the platform's own settings without those of the teams: {section: {key: value}} */}}
{{- define "kpo-platform.defaultAirflowConfig" -}}
core:
  executor: {{ .Values.executor }}
  auth_manager: airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager
  load_examples: "False"
  {{- with include "kpo-platform.sharedDagsFolder" . }}
  dags_folder: {{ . }}
  {{- end }}
  # A connection to another cluster has a kubeconfig in its extra: Airflow's API, UI and logs do not show it.
  sensitive_var_conn_names: kube_config,client-key-data
  execution_api_server_url: {{ include "kpo-platform.executionApiUrl" . }}
{{- with .Values.publicUrl }}
api:
  base_url: {{ trimSuffix "/" . }}
{{- end }}
execution_api:
  # A task's token is renewed in the last fifth of its life, so that it outlasts the 300 s that a task may go unheard.
  jwt_expiration_time: "1500"
{{- if eq .Values.executor "KubernetesExecutor" }}
kubernetes_executor:
  namespace: {{ .Release.Namespace | quote }}
  pod_template_file: /opt/kpo-platform/config/task-pod.yaml
{{- end }}
scheduler:
  # A scheduler that was killed leaves tasks behind that nobody runs. The next one has to find them before Airflow takes
  # them for failed, 300 s after their last heartbeat; by Airflow's own setting it looks every 300 s.
  orphaned_tasks_check_interval: "60"
dag_processor:
  dag_bundle_storage_path: /opt/airflow/bundles
  # How often the DAG processor looks whether a repository is due; each team says how often its own is.
  bundle_refresh_check_interval: "1"
workers:
  # A worker may see only at its next heartbeat that a task's process has ended. A task that was deferred and goes on before
  # that is taken for a failed one, so pods that end at once need a short beat.
  min_heartbeat_interval: "1"
  # A single API server that starts again is away for a minute, on a busy node for several. Every request of a task, its
  # heartbeat too, is tried again for about 200 s, at least every 10 s; by Airflow's own settings a task fails after 10 s.
  # A worker that got no answer by then ends its task: before Airflow, after 300 s, takes it for failed and, where it has
  # retries left, lets another worker begin it.
  execution_api_retries: "40"
  execution_api_retry_wait_max: "10"
  max_failed_heartbeats: "1"
{{ include "kpo-platform.statsdConfig" . }}
logging:
  base_log_folder: /opt/airflow/logs
  # It keeps no volume, and a file for each DAG file and day would only grow.
  dag_processor_log_target: stdout
  colored_console_log: "False"
{{- end -}}

{{/* context → settings without those of the teams, as JSON; `config` in the values wins */}}
{{- define "kpo-platform.airflowConfig" -}}
{{- mergeOverwrite (include "kpo-platform.defaultAirflowConfig" . | fromYaml) (deepCopy .Values.config) | toJson -}}
{{- end -}}

{{/* context → the settings of the teams, as JSON; in this file format a percent sign is written twice */}}
{{- define "kpo-platform.teamAirflowConfig" -}}
{{- dict "dag_processor" (dict "dag_bundle_config_list" (include "kpo-platform.dagBundles" . | replace "%" "%%")) | toJson -}}
{{- end -}}

{{/* context → annotation of the pods that start again when a setting changes, but not when a team does */}}
{{- define "kpo-platform.configChecksum" -}}
checksum/config: {{ include "kpo-platform.cached" (list . "kpo-platform.airflowConfig") | sha256sum }}
{{- end -}}
