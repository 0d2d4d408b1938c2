{{/* The ConfigMaps of the Python package. */}}

{{/* context → the package in parts as JSON: [{name of the ConfigMap, files: {path: text}}]. Without --server-side, `kubectl
apply` copies an object into an annotation, which holds 256 KiB. */}}
{{- define "kpo-platform.codeParts" -}}
{{- $parts := list -}}
{{- $files := dict -}}
{{- $size := 0 -}}
{{- range $path, $text := include "kpo-platform.cached" (list . "kpo-platform.codeFiles") | fromJson -}}
{{- $length := len (toJson $text) -}}
{{- if and $files (gt (add $size $length) 180000) -}}
{{- $parts = append $parts $files -}}
{{- $files = dict -}}
{{- $size = 0 -}}
{{- end -}}
{{- $_ := set $files $path $text -}}
{{- $size = add $size $length -}}
{{- end -}}
{{- $named := list -}}
{{- range $index, $files := append $parts $files -}}
{{- $name := include "kpo-platform.hashedName" (list $ (printf "code-%d" (add1 $index)) (toJson $files)) -}}
{{- $named = append $named (dict "name" $name "files" $files) -}}
{{- end -}}
{{- toJson $named -}}
{{- end -}}
