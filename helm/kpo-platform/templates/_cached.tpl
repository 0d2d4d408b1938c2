{{/* (list context name) → the output of the helper of this name, rendered once and then cached; for slow helpers that
several templates include. */}}
{{- define "kpo-platform.cached" -}}
{{- $values := (first .).Values -}}
{{- if not (hasKey $values "cache") -}}
{{- $_ := set $values "cache" dict -}}
{{- end -}}
{{- if not (hasKey $values.cache (last .)) -}}
{{- $_ := set $values.cache (last .) (include (last .) (first .)) -}}
{{- end -}}
{{- get $values.cache (last .) -}}
{{- end -}}
