{{/* Parts of publicUrl. */}}

{{/* context → the path of publicUrl without a trailing slash; empty for the root path */}}
{{- define "kpo-platform.publicPath" -}}
{{- (urlParse .Values.publicUrl).path | trimSuffix "/" -}}
{{- end -}}

{{/* context → the host of publicUrl without its port */}}
{{- define "kpo-platform.publicHost" -}}
{{- (urlParse .Values.publicUrl).hostname | lower -}}
{{- end -}}
