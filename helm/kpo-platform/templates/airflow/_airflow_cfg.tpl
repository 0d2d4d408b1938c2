{{/* a value → as it stands in a file of settings: a whole number with all its digits, where Go would write 1e+06 */}}
{{- define "kpo-platform.configValue" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{/* context → airflow.cfg */}}
{{- define "kpo-platform.airflowCfg" -}}
{{- $config := mergeOverwrite (include "kpo-platform.teamAirflowConfig" . | fromJson) (include "kpo-platform.cached" (list . "kpo-platform.airflowConfig") | fromJson) -}}
{{- range $section, $settings := $config }}
[{{ $section }}]
{{- range $key, $value := $settings }}
{{ $key }} = {{ include "kpo-platform.configValue" $value }}
{{- end }}
{{ end }}
{{- end -}}
