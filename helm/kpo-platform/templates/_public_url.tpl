{{/* The one address at which people reach Airflow, and what follows from it. */}}

{{/* context → the path of publicUrl without a slash at its end; nothing where Airflow lies at the root */}}
{{- define "kpo-platform.publicPath" -}}
{{- (urlParse .Values.publicUrl).path | trimSuffix "/" -}}
{{- end -}}

{{/* context → the host of publicUrl without its port */}}
{{- define "kpo-platform.publicHost" -}}
{{- (urlParse .Values.publicUrl).hostname | lower -}}
{{- end -}}
