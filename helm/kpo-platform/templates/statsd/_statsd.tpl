{{/* StatsD metrics with tags, sent to an exporter that Prometheus scrapes. */}}

{{/* context → "true" if the release includes the exporter */}}
{{- define "kpo-platform.hasStatsd" -}}
{{- if and .Values.airflow.enabled .Values.statsd.enabled }}true{{ end -}}
{{- end -}}

{{/* context → Airflow's settings for metrics, with tags instead of legacy metric names */}}
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
