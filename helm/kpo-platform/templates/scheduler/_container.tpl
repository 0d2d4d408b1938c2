{{/* context → the scheduler's container without its name */}}
{{- define "kpo-platform.schedulerContainer" -}}
{{ include "kpo-platform.airflowContainerFields" . }}
args: [airflow, scheduler]
env:
  {{- include "kpo-platform.airflowEnv" . | nindent 2 }}
  {{- include "kpo-platform.jwtEnv" . | nindent 2 }}
  {{- include "kpo-platform.apiSecretEnv" . | nindent 2 }}
  {{- include "kpo-platform.codeEnv" . | nindent 2 }}
  {{- include "kpo-platform.brokerEnv" . | nindent 2 }}
  {{- include "kpo-platform.taskEnv" (list . "scheduler") | nindent 2 }}
ports:
  - name: logs
    containerPort: 8793
{{- include "kpo-platform.heartbeatProbes" "SchedulerJob" | nindent 0 }}
resources:
  {{- toYaml .Values.scheduler.resources | nindent 2 }}
volumeMounts:
  {{- include "kpo-platform.taskMounts" . | nindent 2 }}
  {{- include "kpo-platform.databaseMounts" . | nindent 2 }}
  {{- /* With CeleryExecutor the scheduler starts no pods. */}}
  {{- if not (include "kpo-platform.hasWorkers" .) }}
  {{- include "kpo-platform.tokenMount" . | nindent 2 }}
  {{- end }}
{{- end -}}
