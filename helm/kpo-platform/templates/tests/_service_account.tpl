{{/* context → the account for `helm test`: the first that starts pods for the teams and stands in the release's namespace; or
nothing, where there is none or no team */}}
{{- define "kpo-platform.testAccount" -}}
{{- $found := "" -}}
{{- range include "kpo-platform.launcherAccounts" . | fromJsonArray -}}
{{- if and $.Values.teams (not $found) (eq .namespace $.Release.Namespace) -}}
{{- $found = .name -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}
