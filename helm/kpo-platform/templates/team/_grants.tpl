{{/* Grants of the roles under rbac/ in the teams' namespaces. */}}

{{/* nothing → the roles that the chart grants in teams' namespaces, as JSON. The only list of them; the helper grantSubjects
computes the subjects of each. */}}
{{- define "kpo-platform.grantedRoles" -}}
{{- list "pod-launcher" "pod-cleaner" "team-developer" "team-pod" | toJson -}}
{{- end -}}

{{/* context → nothing; sets .Values.resolvedGrants to [{"role", "team", "namespace", "rules", "shared", "subjects"}] for all
teams. A shared grant uses the ClusterRole of all teams. Only the first call has an effect. */}}
{{- define "kpo-platform.resolveGrants" -}}
{{- include "kpo-platform.resolveTeams" . -}}
{{- if not (hasKey .Values "resolvedGrants") -}}
{{- $grants := list -}}
{{- range $role := include "kpo-platform.grantedRoles" . | fromJsonArray -}}
{{- $roleRules := (include "kpo-platform.readRole" (list $ $role) | fromJson).rules -}}
{{- range $name, $team := $.Values.resolvedTeams -}}
{{- $subjects := include "kpo-platform.grantSubjects" (list $ $role $team) | fromJsonArray -}}
{{- $isCustom := and (eq $role "pod-launcher") (or (not $team.rbac.exec) $team.rbac.extraRules) -}}
{{- $rules := $roleRules -}}
{{- if $isCustom -}}
{{- $rules = include "kpo-platform.launcherRules" (list $roleRules $team.rbac) | fromJsonArray -}}
{{- end -}}
{{- if and $subjects $rules -}}
{{- $shared := and (eq $.Values.rbac.scope "cluster") (not $isCustom) -}}
{{- $grants = append $grants (dict "role" $role "team" $name "namespace" $team.namespace "rules" $rules "shared" $shared "subjects" $subjects) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $_ := set .Values "resolvedGrants" $grants -}}
{{- end -}}
{{- end -}}

{{/* (list rules rbac) → the team's rules of pod-launcher as JSON: without pods/exec if disabled, with its extraRules */}}
{{- define "kpo-platform.launcherRules" -}}
{{- $rules := list -}}
{{- range first . -}}
{{- if or (last $).exec (not (has "pods/exec" .resources)) -}}
{{- $rules = append $rules . -}}
{{- end -}}
{{- end -}}
{{- toJson (concat $rules (last .).extraRules) -}}
{{- end -}}

{{/* (list context role) → the name of the ClusterRole, unique for each release */}}
{{- define "kpo-platform.clusterRoleName" -}}
{{- printf "%s-%s" (first .).Release.Namespace (include "kpo-platform.name" .) -}}
{{- end -}}
