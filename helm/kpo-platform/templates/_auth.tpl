{{/* Who may sign in to Airflow. */}}

{{/* context → true where the chart's Airflow keeps users and roles in its database (FabAuthManager) */}}
{{- define "kpo-platform.usesFabAuth" -}}
{{- if and .Values.airflow.enabled (hasSuffix ".FabAuthManager" (include "kpo-platform.cached" (list . "kpo-platform.airflowConfig") | fromJson).core.auth_manager) -}}
true
{{- end -}}
{{- end -}}
