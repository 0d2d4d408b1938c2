{{/* Containers that run tasks: the scheduler with LocalExecutor, workers, or task pods. */}}

{{/* context → the component whose service account runs tasks */}}
{{- define "kpo-platform.taskRunner" -}}
{{- ternary "scheduler" "worker" (eq .Values.executor "LocalExecutor") -}}
{{- end -}}

{{/* context → "true" if the release includes Celery workers */}}
{{- define "kpo-platform.hasWorkers" -}}
{{- if and .Values.airflow.enabled (eq .Values.executor "CeleryExecutor") -}}true{{- end -}}
{{- end -}}

{{/* (list context component) → the connections in the environment, if the component runs tasks */}}
{{- define "kpo-platform.taskEnv" -}}
{{- include "kpo-platform.resolveTeams" (first .) -}}
{{- if eq (last .) (include "kpo-platform.taskRunner" (first .)) -}}
{{- include "kpo-platform.connectionEnv" (first .) -}}
{{- end -}}
{{- end -}}

{{/* context → the mounts of scheduler and workers */}}
{{- define "kpo-platform.taskMounts" -}}
{{ include "kpo-platform.processMounts" . }}
{{ include "kpo-platform.codeMounts" . }}
{{- with include "kpo-platform.sharedDagsMounts" . }}
{{ . }}
{{- end }}
- name: bundles
  mountPath: /opt/airflow/bundles
{{ include "kpo-platform.logMount" . }}
{{- end -}}

{{/* context → the volumes of the mounts above; the log volume only if it is shared */}}
{{- define "kpo-platform.taskVolumes" -}}
{{ include "kpo-platform.processVolumes" . }}
{{ include "kpo-platform.cached" (list . "kpo-platform.codeVolumes") }}
{{- with include "kpo-platform.sharedDagsVolumes" . }}
{{ . }}
{{- end }}
- name: bundles
  emptyDir: {}
{{- with include "kpo-platform.logVolume" . }}
{{ . }}
{{- end }}
{{- end -}}
