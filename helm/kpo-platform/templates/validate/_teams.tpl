{{/* context → errors about team names, and about names in team fields, as JSON */}}
{{- define "kpo-platform.teamErrors" -}}
{{- $errors := list -}}
{{- $templates := include "kpo-platform.readYamlFiles" (list . "files/pod_templates/*.yaml") | fromJson -}}
{{- $sidecars := include "kpo-platform.readYamlFiles" (list . "files/pod_templates/sidecars/*.yaml") | fromJson -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- if or (gt (len $name) 40) (not (regexMatch "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" $name)) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s has an invalid name: a team's name has at most 40 lower-case letters, digits and dashes, without a dash at either end. Rename the team." $name) -}}
{{- end -}}
{{- if not (hasKey $team.sizes $team.defaultSize) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.defaultSize is %s: the team's sizes are %s. Choose one of them." $name $team.defaultSize (keys $team.sizes | sortAlpha | join ", ")) -}}
{{- end -}}
{{- if not (hasKey $templates $team.template) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.template is %s: the chart's pod templates are %s. Choose one of them." $name $team.template (keys $templates | sortAlpha | join ", ")) -}}
{{- end -}}
{{- range $team.sidecars -}}
{{- if not (hasKey $sidecars .) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.sidecars contains %s: the chart's sidecars are %s. Choose from these." $name . (keys $sidecars | sortAlpha | join ", ")) -}}
{{- end -}}
{{- end -}}
{{- range $index, $rule := $team.network.egress -}}
{{- $hasPorts := $rule.ports -}}
{{- range $rule.ports -}}
{{- $hasPorts = and $hasPorts .port -}}
{{- end -}}
{{- if not $hasPorts -}}
{{- $errors = append $errors (printf "ERROR: teams.%s.network.egress[%d] has no port: the rule would allow all ports. Set `ports`, each with a `port`." $name $index) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
