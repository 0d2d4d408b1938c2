{{/* Metrics that nobody would send. */}}

{{/* context → refusals about metrics, as JSON */}}
{{- define "kpo-platform.metricsErrors" -}}
{{- $errors := list -}}
{{- if not (include "kpo-platform.hasStatsd" .) -}}
{{- range $name := list "serviceMonitor" "prometheusRule" -}}
{{- if (get $.Values $name).enabled -}}
{{- $errors = append $errors (printf "ERROR: %s.enabled is true, but there are no metrics; set statsd.enabled (with the chart's own Airflow), or leave it out." $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
