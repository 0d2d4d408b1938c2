{{/* context → errors about auth manager and OIDC as JSON */}}
{{- define "kpo-platform.authErrors" -}}
{{- $errors := list -}}
{{- $teams := (include "kpo-platform.cached" (list . "kpo-platform.airflowConfig") | fromJson).core.multi_team | toString | lower -}}
{{- if and (include "kpo-platform.usesFabAuth" .) (has $teams (list "true" "t" "1")) -}}
{{- $errors = append $errors "ERROR: config.core.multi_team is enabled: FabAuthManager does not support Airflow's multi-team mode, so the API server would not start. Remove config.core.multi_team, which kpo-platform's teams do not need, or choose another config.core.auth_manager." -}}
{{- end -}}
{{- with .Values.oidc -}}
{{- if and .issuer (not (and .clientId .clientSecretName)) -}}
{{- $errors = append $errors (printf "ERROR: oidc.issuer is %s: oidc.clientId and oidc.clientSecretName are required too. Set both." .issuer) -}}
{{- end -}}
{{- if and .issuer (not (include "kpo-platform.usesFabAuth" $)) -}}
{{- $errors = append $errors "ERROR: oidc.issuer is set: the values under oidc configure FabAuthManager in the chart's own Airflow only. Remove oidc.issuer, and configure login in your auth manager or in your own Airflow." -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
