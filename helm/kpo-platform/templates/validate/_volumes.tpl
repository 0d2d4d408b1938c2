{{/* context → errors about the teams' volumes as JSON: names and mount paths must be unique in a pod */}}
{{- define "kpo-platform.volumeErrors" -}}
{{- $errors := list -}}
{{- $reserved := include "kpo-platform.templateVolumes" . | fromJson -}}
{{- range $team, $settings := .Values.resolvedTeams -}}
{{- $names := dict -}}
{{- $paths := dict -}}
{{- range $index, $volume := $settings.volumes -}}
{{- $field := printf "teams.%s.volumes[%d]" $team $index -}}
{{- $path := $volume.mountPath | trimSuffix "/" | default "/" -}}
{{- if hasKey $reserved $volume.name -}}
{{- $errors = append $errors (printf "ERROR: %s.name is %s: %s has a volume of the same name. Choose another name." $field $volume.name (get $reserved $volume.name)) -}}
{{- end -}}
{{- if hasKey $names $volume.name -}}
{{- $errors = append $errors (printf "ERROR: %s.name is %s: volumes[%d] has the same name. Choose another name." $field $volume.name (int (get $names $volume.name))) -}}
{{- end -}}
{{- if hasKey $paths $path -}}
{{- $errors = append $errors (printf "ERROR: %s.mountPath is %s: volumes[%d] has the same path. Choose another path." $field $volume.mountPath (int (get $paths $path))) -}}
{{- end -}}
{{- $_ := set $names $volume.name $index -}}
{{- $_ := set $paths $path $index -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}

{{/* context → {volume: owner} of the volumes in pod templates and sidecars as JSON, such as "the template default" */}}
{{- define "kpo-platform.templateVolumes" -}}
{{- $owners := dict "xcom" "Airflow's XCom" -}}
{{- range $kind, $pattern := dict "template" "files/pod_templates/*.yaml" "sidecar" "files/pod_templates/sidecars/*.yaml" -}}
{{- range $name, $pod := include "kpo-platform.readYamlFiles" (list $ $pattern) | fromJson -}}
{{- range (($pod.spec | default dict).volumes) -}}
{{- $_ := set $owners .name (printf "the %s %s" $kind $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toJson $owners -}}
{{- end -}}
