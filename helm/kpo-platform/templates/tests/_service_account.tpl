{{/* context → the account for `helm test`: the first that starts pods for the teams and stands in the release's namespace; or
nothing, where there is none or no team */}}
{{- define "kpo-platform.tester" -}}
{{- $found := "" -}}
{{- range include "kpo-platform.launchers" . | fromJsonArray -}}
{{- if and $.Values.teams (not $found) (eq .namespace $.Release.Namespace) -}}
{{- $found = .name -}}
{{- end -}}
{{- end -}}
{{- $found -}}
{{- end -}}
