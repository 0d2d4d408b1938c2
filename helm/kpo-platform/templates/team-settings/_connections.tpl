{{/* Airflow's connections to private repositories. */}}

{{/* team name → the ID of its git connection */}}
{{- define "kpo-platform.gitConnectionName" -}}
{{- printf "git-%s" . -}}
{{- end -}}

{{/* context → {connection: secret} of all private repositories as JSON */}}
{{- define "kpo-platform.gitConnections" -}}
{{- include "kpo-platform.resolveTeams" . -}}
{{- $connections := dict -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- if and $team.dags.repo $team.dags.credentialsSecret -}}
{{- $_ := set $connections (include "kpo-platform.gitConnectionName" $name) $team.dags.credentialsSecret -}}
{{- end -}}
{{- end -}}
{{- toJson $connections -}}
{{- end -}}

{{/* context → the host key options of an Airflow git connection as JSON */}}
{{- define "kpo-platform.sshHostKeySettings" -}}
{{- if .Values.dags.knownHosts -}}
{{- dict "strict_host_key_checking" "yes" "known_hosts_file" "/opt/kpo-platform/config/known_hosts" | toJson -}}
{{- else -}}
{{- dict "strict_host_key_checking" "accept-new" | toJson -}}
{{- end -}}
{{- end -}}
