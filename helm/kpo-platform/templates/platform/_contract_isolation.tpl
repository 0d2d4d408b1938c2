{{/* context → the isolation between teams as JSON */}}
{{- define "kpo-platform.contractIsolation" -}}
{{- $triggers := list -}}
{{- range .Values.triggerer.allow -}}
{{- $triggers = append $triggers (dict "class" .class "arguments" (.arguments | default dict)) -}}
{{- end -}}
{{- set (deepCopy .Values.isolation) "triggers" $triggers | toJson -}}
{{- end -}}
