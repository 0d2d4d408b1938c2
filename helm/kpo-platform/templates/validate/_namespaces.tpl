{{/* context → errors about the teams' namespaces as JSON */}}
{{- define "kpo-platform.namespaceErrors" -}}
{{- $errors := list -}}
{{- $teams := dict -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- if eq $team.namespace $.Release.Namespace -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.namespace is %s: the release uses this namespace. Choose another namespace." $name $team.namespace) -}}
{{- end -}}
{{- if or (eq $team.namespace "default") (hasPrefix "kube-" $team.namespace) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.namespace is %s: other workloads in this system namespace would be restricted too. Choose another namespace." $name $team.namespace) -}}
{{- end -}}
{{- if hasKey $teams $team.namespace -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.namespace is %s: teams.%s has the same namespace. Give each team a namespace of its own." $name $team.namespace (get $teams $team.namespace)) -}}
{{- end -}}
{{- $_ := set $teams $team.namespace $name -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
