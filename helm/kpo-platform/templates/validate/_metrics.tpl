{{/* context → errors about monitoring without metrics as JSON */}}
{{- define "kpo-platform.metricsErrors" -}}
{{- $errors := list -}}
{{- if not (include "kpo-platform.hasStatsd" .) -}}
{{- range $name := list "serviceMonitor" "prometheusRule" -}}
{{- if (get $.Values $name).enabled -}}
{{- $errors = append $errors (printf "ERROR: %s.enabled is true: the StatsD exporter is not installed. Set statsd.enabled, which requires airflow.enabled, or set %s.enabled to false." $name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
