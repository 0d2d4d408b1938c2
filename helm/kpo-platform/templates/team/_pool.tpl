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
