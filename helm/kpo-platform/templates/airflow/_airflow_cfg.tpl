{{/* value → its text in airflow.cfg; whole numbers with all digits, because Go prints 1e+06 */}}
{{- define "kpo-platform.configValue" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{/* context → the text of airflow.cfg */}}
{{- define "kpo-platform.airflowCfg" -}}
{{- $config := mergeOverwrite (include "kpo-platform.teamAirflowConfig" . | fromJson) (include "kpo-platform.cached" (list . "kpo-platform.airflowConfig") | fromJson) -}}
{{- range $section, $settings := $config }}
[{{ $section }}]
{{- range $key, $value := $settings }}
{{ $key }} = {{ include "kpo-platform.configValue" $value }}
{{- end }}
{{ end }}
{{- end -}}
