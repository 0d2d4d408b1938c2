{{/* context → "true" if the chart's Airflow uses FabAuthManager, which stores users and roles in the database */}}
{{- define "kpo-platform.usesFabAuth" -}}
{{- if and .Values.airflow.enabled (hasSuffix ".FabAuthManager" (include "kpo-platform.cached" (list . "kpo-platform.airflowConfig") | fromJson).core.auth_manager) -}}
true
{{- end -}}
{{- end -}}
