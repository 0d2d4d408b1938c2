{{/* context → errors about the executor's broker and log volume as JSON */}}
{{- define "kpo-platform.executorErrors" -}}
{{- $errors := list -}}
{{- $broker := .Values.data.brokerUrlSecretName -}}
{{- if include "kpo-platform.hasWorkers" . -}}
{{- if and $broker .Values.redis.enabled -}}
{{- $errors = append $errors "ERROR: data.brokerUrlSecretName is set: the embedded broker is enabled too. Set redis.enabled to false." -}}
{{- else if not (or $broker .Values.redis.enabled) -}}
{{- $errors = append $errors "ERROR: executor is CeleryExecutor: redis.enabled is false and no external broker is configured. Name a Secret with the key `connection` in data.brokerUrlSecretName." -}}
{{- end -}}
{{- end -}}
{{- $logging := (include "kpo-platform.cached" (list . "kpo-platform.airflowConfig") | fromJson).logging -}}
{{- if and .Values.airflow.enabled (eq .Values.executor "KubernetesExecutor") (not .Values.logs.persistence.existingClaim) (not (hasKey $logging "remote_logging")) -}}
{{- $errors = append $errors "ERROR: executor is KubernetesExecutor: a task's log would be deleted with its pod. Name a volume in logs.persistence.existingClaim, or set config.logging.remote_logging to true or false." -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
