{{/* context → errors about the isolation between teams as JSON */}}
{{- define "kpo-platform.isolationErrors" -}}
{{- concat (include "kpo-platform.bundleErrors" . | fromJsonArray) (include "kpo-platform.grantErrors" . | fromJsonArray) | toJson -}}
{{- end -}}

{{/* context → errors about the owners of bundles as JSON */}}
{{- define "kpo-platform.bundleErrors" -}}
{{- $errors := list -}}
{{- range $bundle, $team := .Values.isolation.bundles -}}
{{- if not (hasKey $.Values.resolvedTeams $team) -}}
{{- $errors = append $errors (printf "ERROR: isolation.bundles.%s is %s: the release has no team of this name. %s" $bundle $team (include "kpo-platform.nameTeams" $)) -}}
{{- end -}}
{{- if and (hasKey $.Values.resolvedTeams $bundle) (ne $bundle $team) -}}
{{- $errors = append $errors (printf "ERROR: isolation.bundles.%s is %s: the bundle %s belongs to the team of the same name. Remove the entry, or rename the bundle." $bundle $team $bundle) -}}
{{- end -}}
{{- if and (eq $bundle "shared-dags") (include "kpo-platform.sharedDagsFolder" $) -}}
{{- $errors = append $errors (printf "ERROR: isolation.bundles.shared-dags is %s: the folders of this bundle belong to several teams. Remove the entry, and put the team's files into a folder with its name." $team) -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}

{{/* context → errors about grants between teams as JSON */}}
{{- define "kpo-platform.grantErrors" -}}
{{- $errors := list -}}
{{- $pairs := dict -}}
{{- range $index, $grant := .Values.isolation.grants -}}
{{- range $field := list "from" "to" -}}
{{- $team := get $grant $field -}}
{{- if not (hasKey $.Values.resolvedTeams $team) -}}
{{- $errors = append $errors (printf "ERROR: isolation.grants[%d].%s is %s: the release has no team of this name. %s" $index $field $team (include "kpo-platform.nameTeams" $)) -}}
{{- end -}}
{{- end -}}
{{- if eq $grant.from $grant.to -}}
{{- $errors = append $errors (printf "ERROR: isolation.grants[%d].to is %s: `from` is the same team, which may use its own things. Remove the grant." $index $grant.to) -}}
{{- end -}}
{{- $pair := printf "%s %s" $grant.from $grant.to -}}
{{- if hasKey $pairs $pair -}}
{{- $errors = append $errors (printf "ERROR: isolation.grants[%d] is a duplicate: isolation.grants[%d] has the same teams in `from` and `to`. List all actions in one grant." $index (get $pairs $pair)) -}}
{{- else -}}
{{- $_ := set $pairs $pair $index -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}

{{/* context → the instruction to name a team of the release */}}
{{- define "kpo-platform.nameTeams" -}}
{{- with keys .Values.resolvedTeams | sortAlpha -}}
Choose one of {{ join ", " . }}.
{{- else -}}
Add the team under teams.
{{- end -}}
{{- end -}}
