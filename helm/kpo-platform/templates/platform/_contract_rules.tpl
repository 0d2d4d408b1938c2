{{/* context → {role: rules} of all files under rbac/ as JSON */}}
{{- define "kpo-platform.contractRules" -}}
{{- $rules := dict -}}
{{- range $name, $role := include "kpo-platform.readYamlFiles" (list . "files/rbac/*.yaml") | fromJson -}}
{{- $_ := set $rules $name $role.rules -}}
{{- end -}}
{{- toJson $rules -}}
{{- end -}}
