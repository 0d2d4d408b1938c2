{{/* Full forms of team fields that values may write in a short form. */}}

{{/* list of volumes → the volumes with all defaults as JSON */}}
{{- define "kpo-platform.resolveVolumes" -}}
{{- $defaults := dict "accessMode" "ReadWriteOnce" "storageClass" nil "readOnly" false -}}
{{- $volumes := list -}}
{{- range . -}}
{{- $volumes = append $volumes (mergeOverwrite (deepCopy $defaults) .) -}}
{{- end -}}
{{- toJson $volumes -}}
{{- end -}}

{{/* {name: size} → the sizes with all defaults, without null entries, as JSON */}}
{{- define "kpo-platform.resolveSizes" -}}
{{- $sizes := dict -}}
{{- range $name, $size := . -}}
{{- if $size -}}
{{- $_ := set $sizes $name (mergeOverwrite (dict "gpu" 0 "ephemeralStorage" "") $size) -}}
{{- end -}}
{{- end -}}
{{- toJson $sizes -}}
{{- end -}}

{{/* list of {group} or {user} → list of {kind, name} as JSON */}}
{{- define "kpo-platform.resolveOwners" -}}
{{- $owners := list -}}
{{- range . -}}
{{- range $kind, $name := . -}}
{{- $owners = append $owners (dict "kind" (title $kind) "name" $name) -}}
{{- end -}}
{{- end -}}
{{- toJson $owners -}}
{{- end -}}

{{/* {resource: quantity or whole number} → {resource: quantity} as JSON */}}
{{- define "kpo-platform.resolveQuantities" -}}
{{- $quantities := dict -}}
{{- range $resource, $quantity := . -}}
{{- $_ := set $quantities $resource (ternary $quantity (toString (int64 $quantity)) (kindIs "string" $quantity)) -}}
{{- end -}}
{{- toJson $quantities -}}
{{- end -}}
