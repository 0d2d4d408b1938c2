{{/* (list context role team) → the subjects of a role in the team's namespace as JSON */}}
{{- define "kpo-platform.grantSubjects" -}}
{{- $context := index . 0 -}}
{{- $team := index . 2 -}}
{{- $accounts := list -}}
{{- $people := list -}}
{{- if eq (index . 1) "pod-launcher" -}}
{{- $accounts = include "kpo-platform.launcherAccounts" $context | fromJsonArray -}}
{{- else if and (eq (index . 1) "pod-cleaner") $team.cleanup.maxAge -}}
{{- $accounts = list (dict "namespace" $context.Release.Namespace "name" (include "kpo-platform.name" (list $context "cleanup"))) -}}
{{- else if eq (index . 1) "team-pod" -}}
{{- $accounts = list (dict "namespace" $team.namespace "name" $team.serviceAccount.name) -}}
{{- else if eq (index . 1) "team-developer" -}}
{{- $people = $team.owners -}}
{{- end -}}
{{- $subjects := list -}}
{{- range $accounts -}}
{{- $subjects = append $subjects (dict "kind" "ServiceAccount" "name" .name "namespace" .namespace) -}}
{{- end -}}
{{- range $people -}}
{{- $subjects = append $subjects (dict "apiGroup" "rbac.authorization.k8s.io" "kind" .kind "name" .name) -}}
{{- end -}}
{{- toJson $subjects -}}
{{- end -}}
