{{/* Where tasks run: beside the scheduler, in workers that a broker feeds, or in a pod each. */}}

{{/* context → the component under whose account tasks run */}}
{{- define "kpo-platform.taskRunner" -}}
{{- ternary "scheduler" "worker" (eq .Values.executor "LocalExecutor") -}}
{{- end -}}

{{/* context → something, where workers that a broker feeds are part of the release */}}
{{- define "kpo-platform.hasWorkers" -}}
{{- if and .Values.airflow.enabled (eq .Values.executor "CeleryExecutor") -}}true{{- end -}}
{{- end -}}

{{/* (list context component) → the connections in the environment, where the component runs tasks */}}
{{- define "kpo-platform.taskEnv" -}}
{{- include "kpo-platform.resolveTeams" (first .) -}}
{{- if eq (last .) (include "kpo-platform.taskRunner" (first .)) -}}
{{- include "kpo-platform.connectionEnv" (first .) -}}
{{- end -}}
{{- end -}}

{{/* context → mounts of a container that runs tasks, or knows of them */}}
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

{{/* context → the volumes of the mounts above; that of the logs only where all share it */}}
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
