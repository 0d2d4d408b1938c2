{{/* Airflow's metrics: sent by StatsD, with tags, to an exporter from which Prometheus takes them. */}}

{{/* context → true where the exporter runs */}}
{{- define "kpo-platform.statsd" -}}
{{- if and .Values.airflow.enabled .Values.statsd.enabled }}true{{ end -}}
{{- end -}}

{{/* context → Airflow's settings about it; tags take the place of names that say everything */}}
{{- define "kpo-platform.statsdConfig" -}}
{{- if include "kpo-platform.statsd" . -}}
metrics:
  statsd_on: "True"
  statsd_host: {{ include "kpo-platform.host" (list . "statsd") }}
  statsd_port: "9125"
  statsd_influxdb_enabled: "True"
  legacy_names_on: "False"
{{- end -}}
{{- end -}}

{{/* context → the labels by which Prometheus knows the series of this release */}}
{{- define "kpo-platform.seriesLabels" -}}
{{- printf "namespace=%q, service=%q" .Release.Namespace (include "kpo-platform.name" (list . "statsd")) -}}
{{- end -}}

{{/* context → the alerts, as JSON; each names the lines about it in the runbook */}}
{{- define "kpo-platform.alerts" -}}
{{- $file := include "kpo-platform.file" (list . "files/monitoring/alerts.yaml") -}}
{{- $alerts := $file | replace "{AIRFLOW" (printf "{%s" (include "kpo-platform.seriesLabels" .)) | fromYamlArray -}}
{{- range $alerts -}}
{{- $_ := set .annotations "runbook_url" (printf "%s#%s" $.Values.prometheusRule.runbookUrl (lower .alert)) -}}
{{- end -}}
{{- toJson $alerts -}}
{{- end -}}
