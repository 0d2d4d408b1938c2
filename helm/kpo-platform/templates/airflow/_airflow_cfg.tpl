{{/* a value → as it stands in a file of settings: a whole number with all its digits, where Go would write 1e+06 */}}
{{- define "kpo-platform.setting" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{/* context → airflow.cfg */}}
{{- define "kpo-platform.airflowCfg" -}}
{{- $config := mergeOverwrite (include "kpo-platform.teamConfig" . | fromJson) (include "kpo-platform.once" (list . "kpo-platform.config") | fromJson) -}}
{{- range $section, $settings := $config }}
[{{ $section }}]
{{- range $key, $value := $settings }}
{{ $key }} = {{ include "kpo-platform.setting" $value }}
{{- end }}
{{ end }}
{{- end -}}
