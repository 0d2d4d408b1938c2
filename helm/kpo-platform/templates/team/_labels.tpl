{{/* (list context team) → the labels of an object that belongs to a team */}}
{{- define "kpo-platform.teamLabels" -}}
{{ include "kpo-platform.labels" (list (first .) "team") }}
kpo-platform/team: {{ last . | quote }}
{{- end -}}

{{/* (list context name team) → the labels of a team's namespace; its own cannot take the place of the platform's */}}
{{- define "kpo-platform.namespaceLabels" -}}
{{- $fixed := include "kpo-platform.teamLabels" (list (index . 0) (index . 1)) | fromYaml -}}
{{- range list "enforce" "warn" "audit" -}}
{{- $_ := set $fixed (printf "pod-security.kubernetes.io/%s" .) (index $ 2).podSecurity -}}
{{- end -}}
{{- mergeOverwrite (deepCopy (index . 2).labels) $fixed | toYaml -}}
{{- end -}}
