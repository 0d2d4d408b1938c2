{{/* context → refusals by the platform's labelPolicy, as JSON */}}
{{- define "kpo-platform.labelErrors" -}}
{{- $errors := list -}}
{{- range $key, $policy := .Values.labelPolicy -}}
{{- $fixed := get $.Values.teamDefaults.labels $key -}}
{{- range $name, $team := $.Values.resolvedTeams -}}
{{- $value := get $team.labels $key -}}
{{- if and (eq $policy "required") (not $value) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.labels lacks %s, which labelPolicy requires; set it there or in teamDefaults.labels." $name $key) -}}
{{- end -}}
{{- if and (eq $policy "fixed") $fixed (ne $value $fixed) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.labels sets %s to %s, but labelPolicy fixes it to the %s of teamDefaults.labels; leave it out." $name $key $value $fixed) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
