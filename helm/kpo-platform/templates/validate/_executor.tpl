{{/* What an executor needs beside itself: a broker, or a place for logs that outlives a task's pod. */}}

{{/* context → refusals about the executor, as JSON */}}
{{- define "kpo-platform.executorErrors" -}}
{{- $errors := list -}}
{{- $broker := .Values.data.brokerUrlSecretName -}}
{{- if include "kpo-platform.hasWorkers" . -}}
{{- if and $broker .Values.redis.enabled -}}
{{- $errors = append $errors "ERROR: data.brokerUrlSecretName names a broker while redis.enabled is true; set redis.enabled to false." -}}
{{- else if not (or $broker .Values.redis.enabled) -}}
{{- $errors = append $errors "ERROR: executor is CeleryExecutor and redis.enabled is false, so workers have no broker; name a secret with the key `connection` in data.brokerUrlSecretName." -}}
{{- end -}}
{{- end -}}
{{- $logging := (include "kpo-platform.cached" (list . "kpo-platform.airflowConfig") | fromJson).logging -}}
{{- if and .Values.airflow.enabled (eq .Values.executor "KubernetesExecutor") (not .Values.logs.persistence.existingClaim) (not (hasKey $logging "remote_logging")) -}}
{{- $errors = append $errors "ERROR: executor is KubernetesExecutor, where a task's log would go with its pod; name a volume in logs.persistence.existingClaim, or say in config.logging.remote_logging whether logs go elsewhere." -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
