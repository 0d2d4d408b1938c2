{{/* Full forms of team fields that values may write in a short form. */}}

{{/* list of volumes → the volumes with all defaults as JSON */}}
{{- define "kpo-platform.resolveVolumes" -}}
{{- $defaults := dict "accessMode" "ReadWriteOnce" "storageClass" nil "readOnly" false -}}
{{- $volumes := list -}}
{{- range . -}}
{{- $volumes = append $volumes (mergeOverwrite (deepCopy $defaults) .) -}}
{{- end -}}
{{- toJson $volumes -}}
{{- end -}}

{{/* {name: size} → the sizes with all defaults, without null entries, as JSON */}}
{{- define "kpo-platform.resolveSizes" -}}
{{- $sizes := dict -}}
{{- range $name, $size := . -}}
{{- if $size -}}
{{- $_ := set $sizes $name (mergeOverwrite (dict "gpu" 0 "ephemeralStorage" "") $size) -}}
{{- end -}}
{{- end -}}
{{- toJson $sizes -}}
{{- end -}}

{{/* list of {group} or {user} → list of {kind, name} as JSON */}}
{{- define "kpo-platform.resolveOwners" -}}
{{- $owners := list -}}
{{- range . -}}
{{- range $kind, $name := . -}}
{{- $owners = append $owners (dict "kind" (title $kind) "name" $name) -}}
{{- end -}}
{{- end -}}
{{- toJson $owners -}}
{{- end -}}

{{/* {resource: quantity or whole number} → {resource: quantity} as JSON */}}
{{- define "kpo-platform.resolveQuantities" -}}
{{- $quantities := dict -}}
{{- range $resource, $quantity := . -}}
{{- $_ := set $quantities $resource (ternary $quantity (toString (int64 $quantity)) (kindIs "string" $quantity)) -}}
{{- end -}}
{{- toJson $quantities -}}
{{- end -}}

{{/* (list name team) → the team's Airflow pool as JSON. Its slots are pool.slots, or the quota's number of pods, or 128 as in
Airflow's default pool. */}}
{{- define "kpo-platform.resolvePool" -}}
{{- $team := last . -}}
{{- $counts := list -}}
{{- range list "pods" "count/pods" -}}
{{- with get $team.quota . -}}
{{- $counts = append $counts (divf (include "kpo-platform.toMilli" . | float64) 1000 | int64) -}}
{{- end -}}
{{- end -}}
{{- $slots := 128 -}}
{{- if not (kindIs "invalid" $team.pool.slots) -}}
{{- $slots = int64 $team.pool.slots -}}
{{- else if $counts -}}
{{- $slots = min (first $counts) (last $counts) -}}
{{- end -}}
{{- dict "name" (printf "team-%s" (first .)) "slots" $slots | toJson -}}
{{- end -}}
