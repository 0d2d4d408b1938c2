{{/* context → the connections from the Secret that `platformctl bootstrap` writes (connection.via: env), for processes that
run tasks. Each key is listed, because envFrom could set any variable. Keys are optional until bootstrap has run. */}}
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
