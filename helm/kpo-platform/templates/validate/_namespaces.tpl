{{/* context → refusals about the namespaces of the teams, as JSON */}}
{{- define "kpo-platform.namespaceErrors" -}}
{{- $errors := list -}}
{{- $taken := dict -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- if eq $team.namespace $.Release.Namespace -}}
{{- $errors = append $errors (printf "ERROR: teams.%s has the release's own namespace %s; choose another namespace." $name $team.namespace) -}}
{{- end -}}
{{- if or (eq $team.namespace "default") (hasPrefix "kube-" $team.namespace) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s has the namespace %s, where what is not the team's runs and would be shut in with it; choose another namespace." $name $team.namespace) -}}
{{- end -}}
{{- if hasKey $taken $team.namespace -}}
{{- $errors = append $errors (printf "ERROR: teams.%s and teams.%s both have the namespace %s; give each team its own." (get $taken $team.namespace) $name $team.namespace) -}}
{{- end -}}
{{- $_ := set $taken $team.namespace $name -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
