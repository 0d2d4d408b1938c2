{{/* A pod takes every name and every place of a volume once. */}}

{{/* context → refusals about the teams' volumes, as JSON */}}
{{- define "kpo-platform.volumeErrors" -}}
{{- $errors := list -}}
{{- $taken := include "kpo-platform.templateVolumes" . | fromJson -}}
{{- range $team, $settings := .Values.resolvedTeams -}}
{{- $names := dict -}}
{{- $paths := dict -}}
{{- range $index, $volume := $settings.volumes -}}
{{- $where := printf "teams.%s.volumes[%d]" $team $index -}}
{{- $path := $volume.mountPath | trimSuffix "/" | default "/" -}}
{{- if hasKey $taken $volume.name -}}
{{- $errors = append $errors (printf "ERROR: %s has the name %s, which %s gives a volume of its own; choose another name." $where $volume.name (get $taken $volume.name)) -}}
{{- end -}}
{{- if hasKey $names $volume.name -}}
{{- $errors = append $errors (printf "ERROR: %s has the name %s, as volumes[%d] has; give each its own." $where $volume.name (int (get $names $volume.name))) -}}
{{- end -}}
{{- if hasKey $paths $path -}}
{{- $errors = append $errors (printf "ERROR: %s is mounted at %s, as volumes[%d] is; give each its own mountPath." $where $volume.mountPath (int (get $paths $path))) -}}
{{- end -}}
{{- $_ := set $names $volume.name $index -}}
{{- $_ := set $paths $path $index -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}

{{/* context → whose volumes a pod has beside its team's, as JSON: {volume: "the template default"} */}}
{{- define "kpo-platform.templateVolumes" -}}
{{- $found := dict "xcom" "Airflow's XCom" -}}
{{- range $kind, $pattern := dict "template" "files/pod_templates/*.yaml" "sidecar" "files/pod_templates/sidecars/*.yaml" -}}
{{- range $name, $pod := include "kpo-platform.readYamlFiles" (list $ $pattern) | fromJson -}}
{{- range (($pod.spec | default dict).volumes) -}}
{{- $_ := set $found .name (printf "the %s %s" $kind $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}
