{{/* context → "true" if a team sets cleanup.maxAge */}}
{{- define "kpo-platform.hasPodCleanup" -}}
{{- include "kpo-platform.resolveTeams" . -}}
{{- $enabled := false -}}
{{- range .Values.resolvedTeams -}}
{{- $enabled = or $enabled .cleanup.maxAge -}}
{{- end -}}
{{- if $enabled -}}true{{- end -}}
{{- end -}}
