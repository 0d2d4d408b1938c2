{{/* (list context name) → what the template of that name makes of the context. It is made once for a whole rendering: what
several templates need and what takes its time is asked for in this way. */}}
{{- define "kpo-platform.once" -}}
{{- $values := (first .).Values -}}
{{- if not (hasKey $values "madeOnce") -}}
{{- $_ := set $values "madeOnce" dict -}}
{{- end -}}
{{- if not (hasKey $values.madeOnce (last .)) -}}
{{- $_ := set $values.madeOnce (last .) (include (last .) (first .)) -}}
{{- end -}}
{{- get $values.madeOnce (last .) -}}
{{- end -}}
