{{/* What a container may ask for has to fit into what its team allows, or Kubernetes would refuse every such pod. */}}

{{/* context → refusals about sizes, quota and limits, as JSON */}}
{{- define "kpo-platform.quantityErrors" -}}
{{- $errors := list -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- $ceilings := include "kpo-platform.ceilings" $team | fromJsonArray -}}
{{- if $ceilings -}}
{{- range $size := keys $team.sizes | sortAlpha -}}
{{- $asked := include "kpo-platform.sizeRequests" (list (get $team.sizes $size) $.Values.gpuResource) | fromJson -}}
{{- $remedy := ternary "choose a smaller defaultSize" "reduce the size, or set the size to null" (eq $size $team.defaultSize) -}}
{{- $errors = concat $errors (include "kpo-platform.ceilingErrors" (list $name (printf "sizes.%s" $size) $asked $ceilings $remedy) | fromJsonArray) -}}
{{- end -}}
{{- $greatest := include "kpo-platform.ceilings" (dict "quota" dict "limits" $team.limits) | fromJsonArray -}}
{{- $remedy := "lower the default" -}}
{{- $errors = concat $errors (include "kpo-platform.ceilingErrors" (list $name "limits.default" $team.limits.default $greatest $remedy) | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}

{{/* team → what its containers cannot exceed, as JSON: [{"where", "resource", "most"}] */}}
{{- define "kpo-platform.ceilings" -}}
{{- $ceilings := list -}}
{{- range $key, $most := .quota -}}
{{- $ceilings = append $ceilings (dict "where" (printf "quota.%s" $key) "resource" ($key | trimPrefix "requests." | trimPrefix "limits.") "most" $most) -}}
{{- end -}}
{{- range $resource, $most := .limits.max -}}
{{- $ceilings = append $ceilings (dict "where" (printf "limits.max.%s" $resource) "resource" $resource "most" $most) -}}
{{- end -}}
{{- toJson $ceilings -}}
{{- end -}}

{{/* (list size gpuResource) → {resource: quantity} that the size asks for, as JSON */}}
{{- define "kpo-platform.sizeRequests" -}}
{{- $size := first . -}}
{{- $asked := dict "cpu" $size.cpu "memory" $size.memory (last .) (toString (int64 $size.gpu)) -}}
{{- if $size.ephemeralStorage -}}
{{- $_ := set $asked "ephemeral-storage" $size.ephemeralStorage -}}
{{- end -}}
{{- toJson $asked -}}
{{- end -}}

{{/* (list team what {resource: quantity} ceilings remedy) → refusals where it asks for more than a ceiling, as JSON */}}
{{- define "kpo-platform.ceilingErrors" -}}
{{- $errors := list -}}
{{- range $ceiling := index . 3 -}}
{{- $asked := get (index $ 2) $ceiling.resource -}}
{{- if $asked -}}
{{- if gt (include "kpo-platform.toMilli" $asked | float64) (include "kpo-platform.toMilli" $ceiling.most | float64) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.%s has %s %s: %s is %s, so Kubernetes would reject the pods. Raise %s, or %s." (index $ 0) (index $ 1) $ceiling.resource $asked $ceiling.where $ceiling.most $ceiling.where (index $ 4)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
