{{/* Airflow's metrics: sent by StatsD, with tags, to an exporter from which Prometheus takes them. */}}

{{/* context → true where the exporter runs */}}
{{- define "kpo-platform.hasStatsd" -}}
{{- if and .Values.airflow.enabled .Values.statsd.enabled }}true{{ end -}}
{{- end -}}

{{/* context → Airflow's settings about it; tags take the place of names that say everything */}}
{{- define "kpo-platform.statsdConfig" -}}
{{- if include "kpo-platform.hasStatsd" . -}}
metrics:
  statsd_on: "True"
  statsd_host: {{ include "kpo-platform.serviceHost" (list . "statsd") }}
  statsd_port: "9125"
  statsd_influxdb_enabled: "True"
  legacy_names_on: "False"
{{- end -}}
{{- end -}}
