{{/* Who may sign in, as far as settings can contradict each other. */}}

{{/* context → refusals about the auth manager, as JSON */}}
{{- define "kpo-platform.authErrors" -}}
{{- $errors := list -}}
{{- $teams := (include "kpo-platform.cached" (list . "kpo-platform.airflowConfig") | fromJson).core.multi_team | toString | lower -}}
{{- if and (include "kpo-platform.usesFabAuth" .) (has $teams (list "true" "t" "1")) -}}
{{- $errors = append $errors "ERROR: config.core.multi_team is on, but FabAuthManager knows no teams of Airflow's and the API server would not start; name another config.core.auth_manager, or leave multi_team out: the teams of this platform do not need it." -}}
{{- end -}}
{{- with .Values.oidc -}}
{{- if and .issuer (not (and .clientId .clientSecretName)) -}}
{{- $errors = append $errors (printf "ERROR: oidc.issuer is %s, but Airflow has to be known there; give oidc.clientId, and in oidc.clientSecretName a Secret with its secret." .issuer) -}}
{{- end -}}
{{- if and .issuer (not (include "kpo-platform.usesFabAuth" $)) -}}
{{- $errors = append $errors "ERROR: oidc is for the chart's own Airflow with FabAuthManager; with another config.core.auth_manager, or airflow.enabled: false, leave oidc.issuer out and set up sign-in there." -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
