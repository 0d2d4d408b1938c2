{{/* context → errors as JSON about sizes and default limits that exceed the team's quota or maximum limits */}}
{{- define "kpo-platform.quantityErrors" -}}
{{- $errors := list -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- $maxima := include "kpo-platform.teamMaxima" $team | fromJsonArray -}}
{{- if $maxima -}}
{{- range $size := keys $team.sizes | sortAlpha -}}
{{- $requests := include "kpo-platform.sizeRequests" (list (get $team.sizes $size) $.Values.gpuResource) | fromJson -}}
{{- $remedy := ternary "choose a smaller defaultSize" "reduce the size, or set the size to null" (eq $size $team.defaultSize) -}}
{{- $errors = concat $errors (include "kpo-platform.maximumErrors" (list $name (printf "sizes.%s" $size) $requests $maxima $remedy) | fromJsonArray) -}}
{{- end -}}
{{- $limitMaxima := include "kpo-platform.teamMaxima" (dict "quota" dict "limits" $team.limits) | fromJsonArray -}}
{{- $remedy := "lower the default" -}}
{{- $errors = concat $errors (include "kpo-platform.maximumErrors" (list $name "limits.default" $team.limits.default $limitMaxima $remedy) | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}

{{/* team → the maxima for its containers as JSON: [{"field", "resource", "quantity"}] */}}
{{- define "kpo-platform.teamMaxima" -}}
{{- $maxima := list -}}
{{- range $key, $quantity := .quota -}}
{{- $maxima = append $maxima (dict "field" (printf "quota.%s" $key) "resource" ($key | trimPrefix "requests." | trimPrefix "limits.") "quantity" $quantity) -}}
{{- end -}}
{{- range $resource, $quantity := .limits.max -}}
{{- $maxima = append $maxima (dict "field" (printf "limits.max.%s" $resource) "resource" $resource "quantity" $quantity) -}}
{{- end -}}
{{- toJson $maxima -}}
{{- end -}}

{{/* (list size gpuResource) → {resource: quantity} of a size as JSON */}}
{{- define "kpo-platform.sizeRequests" -}}
{{- $size := first . -}}
{{- $requests := dict "cpu" $size.cpu "memory" $size.memory (last .) (toString (int64 $size.gpu)) -}}
{{- if $size.ephemeralStorage -}}
{{- $_ := set $requests "ephemeral-storage" $size.ephemeralStorage -}}
{{- end -}}
{{- toJson $requests -}}
{{- end -}}

{{/* (list team field {resource: quantity} maxima remedy) → errors about quantities above a maximum as JSON */}}
{{- define "kpo-platform.maximumErrors" -}}
{{- $errors := list -}}
{{- range $maximum := index . 3 -}}
{{- $requests := get (index $ 2) $maximum.resource -}}
{{- if $requests -}}
{{- if gt (include "kpo-platform.toMilli" $requests | float64) (include "kpo-platform.toMilli" $maximum.quantity | float64) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.%s has %s %s: %s is %s, so Kubernetes would reject the pods. Raise %s, or %s." (index $ 0) (index $ 1) $maximum.resource $requests $maximum.field $maximum.quantity $maximum.field (index $ 4)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
