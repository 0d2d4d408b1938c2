{{/* context → violations of labelPolicy as JSON */}}
{{- define "kpo-platform.labelErrors" -}}
{{- $errors := list -}}
{{- range $key, $policy := .Values.labelPolicy -}}
{{- $fixed := get $.Values.teamDefaults.labels $key -}}
{{- range $name, $team := $.Values.resolvedTeams -}}
{{- $value := get $team.labels $key -}}
{{- if and (eq $policy "required") (not $value) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.labels lacks %s: labelPolicy requires this label. Set the label there or in teamDefaults.labels." $name $key) -}}
{{- end -}}
{{- if and (eq $policy "fixed") $fixed (ne $value $fixed) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.labels sets %s to %s: labelPolicy fixes this label to %s, its value in teamDefaults.labels. Remove the label." $name $key $value $fixed) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
