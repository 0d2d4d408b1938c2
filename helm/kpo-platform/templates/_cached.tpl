{{/* (list context name) → what the template of that name makes of the context. It is made once for a whole rendering: what
several templates need and what takes its time is asked for in this way. */}}
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
