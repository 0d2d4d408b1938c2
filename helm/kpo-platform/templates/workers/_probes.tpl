{{/* nothing → the probes of a Celery worker, by a ping over the broker */}}
{{- define "kpo-platform.workerProbes" -}}
startupProbe:
  exec:
    command: [python, /opt/kpo-platform/scripts/worker_probe.py]
  periodSeconds: 5
  timeoutSeconds: 20
  failureThreshold: 180
livenessProbe:
  exec:
    command: [python, /opt/kpo-platform/scripts/worker_probe.py]
  periodSeconds: 60
  timeoutSeconds: 20
  failureThreshold: 5
{{- end -}}
