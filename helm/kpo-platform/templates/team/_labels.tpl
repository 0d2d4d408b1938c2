{{/* (list context team) → the labels of a team's objects */}}
{{- define "kpo-platform.teamLabels" -}}
{{ include "kpo-platform.labels" (list (first .) "team") }}
kpo-platform/team: {{ last . | quote }}
{{- end -}}

{{/* (list context name team) → the labels of a team's namespace; the team cannot override the platform's labels */}}
{{- define "kpo-platform.namespaceLabels" -}}
{{- $fixed := include "kpo-platform.teamLabels" (list (index . 0) (index . 1)) | fromYaml -}}
{{- range list "enforce" "warn" "audit" -}}
{{- $_ := set $fixed (printf "pod-security.kubernetes.io/%s" .) (index $ 2).podSecurity -}}
{{- end -}}
{{- mergeOverwrite (deepCopy (index . 2).labels) $fixed | toYaml -}}
{{- end -}}
