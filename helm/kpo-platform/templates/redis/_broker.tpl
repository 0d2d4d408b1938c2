{{/* context → how scheduler and workers reach the broker. It keeps the results as well, so that workers need no database. */}}
{{- define "kpo-platform.brokerEnv" -}}
{{- if eq .Values.executor "CeleryExecutor" -}}
{{ include "kpo-platform.secretKeyEnv" (list . "AIRFLOW__CELERY__BROKER_URL" "broker" "connection") }}
{{ include "kpo-platform.secretKeyEnv" (list . "AIRFLOW__CELERY__RESULT_BACKEND" "broker" "connection") }}
{{- end -}}
{{- end -}}

{{/* context → something, where the broker is part of the release */}}
{{- define "kpo-platform.hasBroker" -}}
{{- if and (include "kpo-platform.hasWorkers" .) .Values.redis.enabled -}}true{{- end -}}
{{- end -}}
