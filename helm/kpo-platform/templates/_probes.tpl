{{/* Probes. Airflow starts within a minute on a slow node and within ten minutes on a busy one, so startup probes wait for
15 minutes. Liveness probes are stricter. */}}

{{/* job type in Airflow's database → probes of a component without a port, by its heartbeat. `airflow jobs check` does the
same with ten times the CPU. */}}
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
  periodSeconds: 60
  timeoutSeconds: 20
  failureThreshold: 3
{{- end -}}
