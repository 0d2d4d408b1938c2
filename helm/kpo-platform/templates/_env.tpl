{{/* The environment of Airflow's containers. Settings are not here: they are in a mounted file. */}}

{{/* (list context variable secret key) → an environment variable out of a secret */}}
{{- define "kpo-platform.secretKeyEnv" -}}
- name: {{ index . 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ include "kpo-platform.secretName" (list (index . 0) (index . 2)) | quote }}
      key: {{ index . 3 }}
{{- end -}}

{{/* context → what every Airflow process needs, and enough for one that runs tasks alone: those ask the API server */}}
{{- define "kpo-platform.processEnv" -}}
- name: AIRFLOW_CONFIG
  value: /opt/kpo-platform/config/airflow.cfg
{{- /* The image's entrypoint would start a second Airflow to look at the database; ours waits by itself, more cheaply. */}}
- name: CONNECTION_CHECK_MAX_COUNT
  value: "0"
{{- /* A stop goes to Airflow's main process alone. Sent to the whole group, it would reach running tasks as well, which
take it for a user's wish and delete their pods. */}}
- name: DUMB_INIT_SETSID
  value: "0"
{{- end -}}

{{/* context → what a process needs that opens the database */}}
{{- define "kpo-platform.airflowEnv" -}}
{{ include "kpo-platform.processEnv" . }}
{{ include "kpo-platform.databaseEnv" . }}
{{ include "kpo-platform.secretKeyEnv" (list . "AIRFLOW__CORE__FERNET_KEY" "fernet-key" "fernet-key") }}
{{- end -}}

{{/* context → signs and checks the tokens of tasks: for the scheduler and the API server only */}}
{{- define "kpo-platform.jwtEnv" -}}
{{ include "kpo-platform.secretKeyEnv" (list . "AIRFLOW__API_AUTH__JWT_SECRET" "jwt-secret" "jwt-secret") }}
{{- end -}}

{{/* context → signs and checks requests for task logs: for those who serve logs, and the API server that fetches them */}}
{{- define "kpo-platform.apiSecretEnv" -}}
{{ include "kpo-platform.secretKeyEnv" (list . "AIRFLOW__API__SECRET_KEY" "api-secret-key" "api-secret-key") }}
{{- end -}}

{{/* context → the connections that `platformctl bootstrap` puts into a secret (connection.via: env), for those who run
tasks; until it has, there are none. Each is named for itself: a whole secret could set any variable. */}}
{{- define "kpo-platform.connectionEnv" -}}
{{- $ids := list -}}
{{- range .Values.resolvedTeams -}}
{{- if eq .connection.via "env" -}}
{{- $ids = append $ids .connection.id -}}
{{- end -}}
{{- end -}}
{{- range $ids | uniq | sortAlpha }}
- name: AIRFLOW_CONN_{{ upper . }}
  valueFrom:
    secretKeyRef:
      name: {{ include "kpo-platform.name" (list $ "connections") }}
      key: AIRFLOW_CONN_{{ upper . }}
      optional: true
{{- end -}}
{{- end -}}

{{/* context → where the package and the contract are: for those who run code of the package */}}
{{- define "kpo-platform.codeEnv" -}}
{{- if include "kpo-platform.hasCodeConfigMap" . -}}
- name: PYTHONPATH
  value: /opt/kpo-platform/python
{{ end -}}
- name: KPO_PLATFORM_CONTRACT
  value: /opt/kpo-platform/contract/contract.json
{{- end -}}
