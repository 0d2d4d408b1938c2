{{/* The scripts that run in the platform's own pods. */}}

{{/* context → {file: text} of files/scripts as JSON */}}
{{- define "kpo-platform.scriptFiles" -}}
{{- $files := dict -}}
{{- range $path, $_ := .Files.Glob "files/scripts/*" -}}
{{- $_ := set $files (base $path) ($.Files.Get $path) -}}
{{- end -}}
{{- toJson $files -}}
{{- end -}}

{{/* context → the name of the scripts' ConfigMap */}}
{{- define "kpo-platform.scriptsConfigMapName" -}}
{{- include "kpo-platform.hashedName" (list . "scripts" (include "kpo-platform.cached" (list . "kpo-platform.scriptFiles"))) -}}
{{- end -}}
