{{/* context → the service account of `helm test`: the first one in the release's namespace that may start pods for the teams;
empty if there is none, or no team */}}
{{- define "kpo-platform.testAccount" -}}
{{- $account := "" -}}
{{- range include "kpo-platform.launcherAccounts" . | fromJsonArray -}}
{{- if and $.Values.teams (not $account) (eq .namespace $.Release.Namespace) -}}
{{- $account = .name -}}
{{- end -}}
{{- end -}}
{{- $account -}}
{{- end -}}
