{{/* Who may sign in to Airflow. */}}

{{/* context → true where the chart's Airflow keeps users and roles in its database (FabAuthManager) */}}
{{- define "kpo-platform.fab" -}}
{{- if and .Values.airflow.enabled (hasSuffix ".FabAuthManager" (include "kpo-platform.once" (list . "kpo-platform.config") | fromJson).core.auth_manager) -}}
true
{{- end -}}
{{- end -}}

{{/* context → the API server's settings for sign-in by a provider */}}
