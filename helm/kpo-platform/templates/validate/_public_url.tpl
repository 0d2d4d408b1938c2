{{/* context → errors about publicUrl, Ingress and HTTPRoute as JSON */}}
{{- define "kpo-platform.publicUrlErrors" -}}
{{- $errors := list -}}
{{- range $route := list "ingress" "httpRoute" -}}
{{- if and (get $.Values $route).apiServer.enabled (not $.Values.publicUrl) -}}
{{- $errors = append $errors (printf "ERROR: %s.apiServer.enabled is true: publicUrl is empty, so the host is unknown. Set publicUrl." $route) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.httpRoute.apiServer.enabled (not .Values.httpRoute.apiServer.parentRefs) -}}
{{- $errors = append $errors "ERROR: httpRoute.apiServer.enabled is true: httpRoute.apiServer.parentRefs is empty, so no Gateway would use the route. Name a Gateway, as in an HTTPRoute." -}}
{{- end -}}
{{- with (get .Values.config "api" | default dict).base_url -}}
{{- $errors = append $errors (printf "ERROR: config.api.base_url is %s: probes and the URL of the execution API would not follow it. Set publicUrl instead." .) -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
