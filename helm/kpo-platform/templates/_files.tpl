{{/* Files of the chart. `.Files.Get` ignores missing files and `fromYaml` returns errors as data, so a broken link would
render a Role without rules. These helpers fail instead. */}}

{{/* (list context path) → the text of a file */}}
{{- define "kpo-platform.readFile" -}}
{{- $text := (first .).Files.Get (last .) -}}
{{- if not $text -}}
{{- fail (printf "ERROR: chart file %s is missing: the symbolic links under files/ are broken. Install the packaged chart, or a checkout with symbolic links." (last .)) -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* (list context path) → the text of a YAML file, with images.registryPrefix applied to image names */}}
{{- define "kpo-platform.readYamlText" -}}
{{- $text := include "kpo-platform.readFile" . -}}
{{- with (first .).Values.images.registryPrefix -}}
{{- $text = regexReplaceAll "(?m)^(\\s*(?:- )?image: )(?:[^/\\s]*[.:][^/\\s]*/|localhost/)?(\\S+)$" $text (printf "${1}%s/${2}" .) -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* (list context path) → the content of a YAML file as JSON */}}
{{- define "kpo-platform.readYaml" -}}
{{- $parsed := include "kpo-platform.readYamlText" . | fromYaml -}}
{{- if hasKey $parsed "Error" -}}
{{- fail (printf "ERROR: chart file %s cannot be parsed: %s. Correct its YAML." (last .) $parsed.Error) -}}
{{- end -}}
{{- toJson $parsed -}}
{{- end -}}

{{/* (list context role) → the rules of rbac/<role>.yaml as JSON: {"rules": […]} */}}
{{- define "kpo-platform.readRole" -}}
{{- $role := include "kpo-platform.readYaml" (list (first .) (printf "files/rbac/%s.yaml" (last .))) | fromJson -}}
{{- dict "rules" $role.rules | toJson -}}
{{- end -}}

{{/* (list context pattern) → {file name without .yaml: content} of all matching files as JSON */}}
{{- define "kpo-platform.readYamlFiles" -}}
{{- $found := dict -}}
{{- range $path, $_ := (first .).Files.Glob (last .) -}}
{{- $_ := set $found (trimSuffix ".yaml" (base $path)) (include "kpo-platform.readYaml" (list (first $) $path) | fromJson) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{/* nothing → {component: file pattern} of pod templates and sidecars as JSON */}}
{{- define "kpo-platform.templateFilePatterns" -}}
{{- dict "pod-templates" "files/pod_templates/*.yaml" "sidecars" "files/pod_templates/sidecars/*.yaml" | toJson -}}
{{- end -}}
