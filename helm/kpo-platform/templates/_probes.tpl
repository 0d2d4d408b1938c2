{{/* Probes. Starting takes Airflow a minute on a slow node, and ten when the node is busy, so each component has a startup
probe that is patient for a quarter of an hour, and a liveness probe that is not. */}}

{{/* type of job, as in Airflow's table of jobs → probes of a component that has no port to ask: it must have sent a
heartbeat. `airflow jobs check` asks the same for ten times the CPU, every time. */}}
{{- define "kpo-platform.heartbeatProbes" -}}
startupProbe:
  exec:
    command: [python, /opt/kpo-platform/scripts/heartbeat_probe.py, {{ . }}]
  periodSeconds: 5
  timeoutSeconds: 20
  failureThreshold: 180
livenessProbe:
  exec:
    command: [python, /opt/kpo-platform/scripts/heartbeat_probe.py, {{ . }}]
  periodSeconds: 30
  timeoutSeconds: 20
  failureThreshold: 5
{{- end -}}
