{{/* What Airflow's database holds for the teams: a role and a pool each, and a connection to each private repository. */}}

{{/* team's name → the Airflow connection that opens its repository */}}
{{- define "kpo-platform.gitConnectionName" -}}
{{- printf "git-%s" . -}}
{{- end -}}

{{/* context → {pool: what it is}, as `airflow pools import` reads it. A deferred task's pod runs, so it keeps its slot. */}}
{{- define "kpo-platform.teamPools" -}}
{{- include "kpo-platform.resolveTeams" . -}}
{{- $pools := dict -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- $_ := set $pools $team.pool.name (dict "slots" $team.pool.slots "description" (printf "Tasks of team %s. Managed by the chart %s." $name $.Chart.Name) "include_deferred" true) -}}
{{- end -}}
{{- toJson $pools -}}
{{- end -}}

{{/* context → {connection: secret} of all private repositories, as JSON */}}
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

{{/* context → how ssh tells who a git server is, as fields of an Airflow connection, in JSON */}}
{{- define "kpo-platform.sshHostKeySettings" -}}
{{- if .Values.dags.knownHosts -}}
{{- dict "strict_host_key_checking" "yes" "known_hosts_file" "/opt/kpo-platform/config/known_hosts" | toJson -}}
{{- else -}}
{{- dict "strict_host_key_checking" "accept-new" | toJson -}}
{{- end -}}
{{- end -}}

{{/* context → {role: names of users who have it} of all teams, as JSON; nothing where Airflow keeps no roles */}}
{{- define "kpo-platform.teamRoles" -}}
{{- include "kpo-platform.resolveTeams" . -}}
{{- $roles := dict -}}
{{- range .Values.resolvedTeams -}}
{{- if .role -}}
{{- $users := list -}}
{{- range .owners -}}
{{- if eq .kind "User" -}}
{{- $users = append $users .name -}}
{{- end -}}
{{- end -}}
{{- $_ := set $roles .role $users -}}
{{- end -}}
{{- end -}}
{{- toJson $roles -}}
{{- end -}}

{{/* context → {file: text} of what the job reads, as JSON */}}
{{- define "kpo-platform.teamSettingsFiles" -}}
{{- dict
      "roles.json" (include "kpo-platform.teamRoles" .)
      "pools.json" (include "kpo-platform.teamPools" .)
      "connections.json" (include "kpo-platform.gitConnections" .)
      "ssh.json" (include "kpo-platform.sshHostKeySettings" .)
    | toJson -}}
{{- end -}}

{{/* context → the name of the ConfigMap with what the job reads */}}
{{- define "kpo-platform.teamSettingsConfigMapName" -}}
{{- include "kpo-platform.hashedName" (list . "team-settings" (include "kpo-platform.teamSettingsFiles" .)) -}}
{{- end -}}
