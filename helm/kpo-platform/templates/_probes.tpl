{{/* Probes. Starting takes Airflow a minute on a slow node, and ten when the node is busy, so each component has a startup
probe that is patient for a quarter of an hour, and a liveness probe that is not. */}}

{{/* type of job, as in Airflow's table of jobs → probes of a component that has no port to ask: it must have sent a
heartbeat. `airflow jobs check` asks the same for ten times the CPU, every time. */}}
{{- define "kpo-platform.heartbeatProbes" -}}
startupProbe:
  exec:
    command: [python, /opt/kpo-platform/scripts/alive.py, {{ . }}]
  periodSeconds: 5
  timeoutSeconds: 20
  failureThreshold: 180
livenessProbe:
  exec:
    command: [python, /opt/kpo-platform/scripts/alive.py, {{ . }}]
  periodSeconds: 30
  timeoutSeconds: 20
  failureThreshold: 5
{{- end -}}

{{/* context → probes of the API server. Neither path asks the database, so that its failure restarts nothing. */}}
{{- define "kpo-platform.apiServerProbes" -}}
startupProbe:
  httpGet:
    path: {{ include "kpo-platform.publicPath" . }}/execution/health
    port: api-server
  periodSeconds: 3
  timeoutSeconds: 10
  failureThreshold: 300
readinessProbe:
  httpGet:
    path: {{ include "kpo-platform.publicPath" . }}/api/v2/version
    port: api-server
  periodSeconds: 10
  timeoutSeconds: 10
livenessProbe:
  httpGet:
    path: {{ include "kpo-platform.publicPath" . }}/execution/health
    port: api-server
  periodSeconds: 20
  timeoutSeconds: 20
  failureThreshold: 6
{{- end -}}

{{/* anything → probes of a worker that a broker feeds: it must answer over the broker */}}
{{- define "kpo-platform.workerProbes" -}}
startupProbe:
  exec:
    command: [python, /opt/kpo-platform/scripts/worker_alive.py]
  periodSeconds: 5
  timeoutSeconds: 20
  failureThreshold: 180
livenessProbe:
  exec:
    command: [python, /opt/kpo-platform/scripts/worker_alive.py]
  periodSeconds: 60
  timeoutSeconds: 20
  failureThreshold: 5
{{- end -}}
