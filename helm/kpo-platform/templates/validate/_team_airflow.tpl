{{/* What a team asks of Airflow: its connection, its repository, its pool. */}}

{{/* context → refusals about what the teams ask of Airflow, as JSON */}}
{{- define "kpo-platform.teamAirflowErrors" -}}
{{- $errors := list -}}
{{- $connections := dict -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- range $field := list "mode" "via" -}}
{{- $key := printf "%s %s" $field $team.connection.id -}}
{{- $first := get $connections $key | default (list $name (get $team.connection $field)) -}}
{{- $_ := set $connections $key $first -}}
{{- if ne (last $first) (get $team.connection $field) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.connection.%s is %s, but teams.%s has the same connection %s with %s; give one of them another connection.id." $name $field (get $team.connection $field) (first $first) $team.connection.id (last $first)) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "^[a-z+]+://[^/@]*:[^/@]*@" $team.dags.repo -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.dags.repo has a password in it, which everybody who reads the release would see; put it into a Secret and name that in dags.credentialsSecret." $name) -}}
{{- end -}}
{{- if not (include "kpo-platform.isRepositoryUrl" $team.dags.repo) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.dags.repo is %s, which says no way to it; write https://HOST/PATH or git@HOST:PATH." $name $team.dags.repo) -}}
{{- end -}}
{{- if and $team.dags.credentialsSecret (hasPrefix "git://" $team.dags.repo) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.dags.credentialsSecret is %s, but a git:// repository takes no credentials; give dags.repo by https or ssh, or leave the secret out." $name $team.dags.credentialsSecret) -}}
{{- end -}}
{{- range $key := list "pods" "count/pods" -}}
{{- with get $team.quota $key -}}
{{- if gt (mulf $team.pool.slots 1000) (include "kpo-platform.toMilli" . | float64) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.pool.slots is %d, but quota.%s is %s; Kubernetes would refuse the pods beyond it; raise the quota, or leave the slots out." $name (int64 $team.pool.slots) $key .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}

{{/* address → true where it is empty, or git could follow it */}}
{{- define "kpo-platform.isRepositoryUrl" -}}
{{- if regexMatch "^$|^[a-z][a-z0-9+.-]*://.|^[^/@:]+@[^/@:]+:." . -}}true{{- end -}}
{{- end -}}
