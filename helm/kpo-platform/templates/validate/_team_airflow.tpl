{{/* context → errors about the teams' connections, repositories and pools as JSON */}}
{{- define "kpo-platform.teamAirflowErrors" -}}
{{- $errors := list -}}
{{- $connections := dict -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- range $field := list "mode" "via" -}}
{{- $key := printf "%s %s" $field $team.connection.id -}}
{{- $first := get $connections $key | default (list $name (get $team.connection $field)) -}}
{{- $_ := set $connections $key $first -}}
{{- if ne (last $first) (get $team.connection $field) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.connection.%s is %s: teams.%s uses the same connection %s with %s. Give one of the teams another connection.id." $name $field (get $team.connection $field) (first $first) $team.connection.id (last $first)) -}}
{{- end -}}
{{- end -}}
{{- if regexMatch "^[a-z+]+://[^/@]*:[^/@]*@" $team.dags.repo -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.dags.repo contains a password: everyone who can read the release would see it. Put the password into a Secret and name the Secret in dags.credentialsSecret." $name) -}}
{{- end -}}
{{- if not (include "kpo-platform.isRepositoryUrl" $team.dags.repo) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.dags.repo is %s: git cannot clone from this address. Use https://HOST/PATH or git@HOST:PATH." $name $team.dags.repo) -}}
{{- end -}}
{{- if and $team.dags.credentialsSecret (hasPrefix "git://" $team.dags.repo) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.dags.credentialsSecret is %s: the git:// protocol does not support credentials. Use https or ssh in dags.repo, or remove the Secret." $name $team.dags.credentialsSecret) -}}
{{- end -}}
{{- range $key := list "pods" "count/pods" -}}
{{- with get $team.quota $key -}}
{{- if gt (mulf $team.pool.slots 1000) (include "kpo-platform.toMilli" . | float64) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.pool.slots is %d: quota.%s is %s, so Kubernetes would reject further pods. Raise the quota, or remove pool.slots." $name (int64 $team.pool.slots) $key .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}

{{/* address → "true" if the address is empty or git can clone from it */}}
{{- define "kpo-platform.isRepositoryUrl" -}}
{{- if regexMatch "^$|^[a-z][a-z0-9+.-]*://.|^[^/@:]+@[^/@:]+:." . -}}true{{- end -}}
{{- end -}}
