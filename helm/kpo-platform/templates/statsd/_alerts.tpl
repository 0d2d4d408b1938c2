{{/* context → the label matchers of this release's series */}}
{{- define "kpo-platform.seriesLabels" -}}
{{- printf "namespace=%q, service=%q" .Release.Namespace (include "kpo-platform.name" (list . "statsd")) -}}
{{- end -}}

{{/* context → the alerts as JSON, each with the URL of its section in the runbook */}}
{{- define "kpo-platform.alerts" -}}
{{- $file := include "kpo-platform.readFile" (list . "files/monitoring/alerts.yaml") -}}
{{- $alerts := $file | replace "{AIRFLOW" (printf "{%s" (include "kpo-platform.seriesLabels" .)) | fromYamlArray -}}
{{- range $alerts -}}
{{- $_ := set .annotations "runbook_url" (printf "%s#%s" $.Values.prometheusRule.runbookUrl (lower .alert)) -}}
{{- end -}}
{{- toJson $alerts -}}
{{- end -}}
