{{/* context → the probes of the API server. Neither path uses the database, so a database outage restarts nothing. */}}
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
