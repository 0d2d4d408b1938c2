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
{{- $errors = append $errors (printf "ERROR: %s.name is %s: %s has a volume of the same name. Choose another name." $where $volume.name (get $taken $volume.name)) -}}
{{- end -}}
{{- if hasKey $names $volume.name -}}
{{- $errors = append $errors (printf "ERROR: %s.name is %s: volumes[%d] has the same name. Choose another name." $where $volume.name (int (get $names $volume.name))) -}}
{{- end -}}
{{- if hasKey $paths $path -}}
{{- $errors = append $errors (printf "ERROR: %s.mountPath is %s: volumes[%d] has the same path. Choose another path." $where $volume.mountPath (int (get $paths $path))) -}}
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
