{{/* The address at which people reach Airflow, as far as values can contradict each other. */}}

{{/* context → refusals about the way in, as JSON */}}
{{- define "kpo-platform.publicUrlErrors" -}}
{{- $errors := list -}}
{{- range $way := list "ingress" "httpRoute" -}}
{{- if and (get $.Values $way).apiServer.enabled (not $.Values.publicUrl) -}}
{{- $errors = append $errors (printf "ERROR: %s.apiServer.enabled is true and publicUrl is empty, so there is no host to lead to Airflow; set publicUrl." $way) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.httpRoute.apiServer.enabled (not .Values.httpRoute.apiServer.parentRefs) -}}
{{- $errors = append $errors "ERROR: httpRoute.apiServer.enabled is true and parentRefs names no Gateway, so the route would belong to none; name one, as in an HTTPRoute." -}}
{{- end -}}
{{- with (get .Values.config "api" | default dict).base_url -}}
{{- $errors = append $errors (printf "ERROR: config.api.base_url is %s, but probes and the address at which tasks report would not follow it; set publicUrl instead." .) -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
