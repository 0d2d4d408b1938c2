{{/* Environment of Airflow's containers. Airflow's settings are in a mounted file instead. */}}

{{/* (list context variable secret key) → an environment variable from a platform Secret */}}
{{- define "kpo-platform.secretKeyEnv" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "kpo-platform.secretName" (list (index . 0) (index . 2)) | quote }}
      key: {{ index . 3 }}
{{- end -}}

{{/* context → the environment of every Airflow process; sufficient for task workers, which use the API server */}}
{{- define "kpo-platform.processEnv" -}}
- name: AIRFLOW_CONFIG
  value: /opt/kpo-platform/config/airflow.cfg
{{- /* Disables the database check of the image's entrypoint, which starts a second Airflow. */}}
- name: CONNECTION_CHECK_MAX_COUNT
  value: "0"
{{- /* SIGTERM goes to Airflow's main process only. Tasks that receive it delete their pods, as for a user's stop. */}}
- name: DUMB_INIT_SETSID
  value: "0"
{{- end -}}

{{/* context → the environment of a process with database access */}}
{{- define "kpo-platform.airflowEnv" -}}
{{ include "kpo-platform.processEnv" . }}
{{ include "kpo-platform.databaseEnv" . }}
{{ include "kpo-platform.secretKeyEnv" (list . "AIRFLOW__CORE__FERNET_KEY" "fernet-key" "fernet-key") }}
{{- end -}}

{{/* context → the secret that signs and verifies tokens of tasks, for scheduler and API server only */}}
{{- define "kpo-platform.jwtEnv" -}}
{{ include "kpo-platform.secretKeyEnv" (list . "AIRFLOW__API_AUTH__JWT_SECRET" "jwt-secret" "jwt-secret") }}
{{- end -}}

{{/* context → the secret that signs and verifies requests for task logs, for log servers and the API server */}}
{{- define "kpo-platform.apiSecretEnv" -}}
{{ include "kpo-platform.secretKeyEnv" (list . "AIRFLOW__API__SECRET_KEY" "api-secret-key" "api-secret-key") }}
{{- end -}}

{{/* context → the paths of package and contract, for processes that import the package */}}
{{- define "kpo-platform.codeEnv" -}}
{{- if include "kpo-platform.hasCodeConfigMap" . -}}
- name: PYTHONPATH
  value: /opt/kpo-platform/python
{{ end -}}
- name: KPO_PLATFORM_CONTRACT
  value: /opt/kpo-platform/contract/contract.json
{{- end -}}
