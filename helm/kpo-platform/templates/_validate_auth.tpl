{{/* Who may sign in, as far as settings can contradict each other. */}}

{{/* context → refusals about the auth manager, as JSON */}}
{{- define "kpo-platform.authErrors" -}}
{{- $errors := list -}}
{{- $teams := (include "kpo-platform.once" (list . "kpo-platform.config") | fromJson).core.multi_team | toString | lower -}}
{{- if and (include "kpo-platform.fab" .) (has $teams (list "true" "t" "1")) -}}
{{- $errors = append $errors "ERROR: config.core.multi_team is on, but FabAuthManager knows no teams of Airflow's and the API server would not start; name another config.core.auth_manager, or leave multi_team out: the teams of this platform do not need it." -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
