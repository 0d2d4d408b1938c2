{{/* context → the broker URL for scheduler and workers; the broker is the result backend too, so workers need no database */}}
{{- define "kpo-platform.brokerEnv" -}}
{{- if eq .Values.executor "CeleryExecutor" -}}
{{ include "kpo-platform.secretKeyEnv" (list . "AIRFLOW__CELERY__BROKER_URL" "broker" "connection") }}
{{ include "kpo-platform.secretKeyEnv" (list . "AIRFLOW__CELERY__RESULT_BACKEND" "broker" "connection") }}
{{- end -}}
{{- end -}}

{{/* context → "true" if the release includes the broker */}}
{{- define "kpo-platform.hasBroker" -}}
{{- if and (include "kpo-platform.hasWorkers" .) .Values.redis.enabled -}}true{{- end -}}
{{- end -}}
