{{/* context → "true" if a team keeps its finished pods for a limited time, else nothing */}}
{{- define "kpo-platform.hasPodCleanup" -}}
{{- include "kpo-platform.resolveTeams" . -}}
{{- $wanted := false -}}
{{- range .Values.resolvedTeams -}}
{{- $wanted = or $wanted .cleanup.maxAge -}}
{{- end -}}
{{- if $wanted -}}true{{- end -}}
{{- end -}}
