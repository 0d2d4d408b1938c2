{{/* The teams' data in Airflow's database: roles, pools, and connections to private repositories. */}}

{{/* context → the pools as JSON for `airflow pools import`. Deferred tasks occupy a slot, because their pods run. */}}
{{- define "kpo-platform.teamPools" -}}
{{- include "kpo-platform.resolveTeams" . -}}
{{- $pools := dict -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- $_ := set $pools $team.pool.name (dict "slots" $team.pool.slots "description" (printf "Tasks of team %s. Managed by the chart %s." $name $.Chart.Name) "include_deferred" true) -}}
{{- end -}}
{{- toJson $pools -}}
{{- end -}}

{{/* context → {role: user names} of all teams as JSON; empty without FabAuthManager */}}
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

{{/* context → {file: text} of the Job's input as JSON */}}
{{- define "kpo-platform.teamSettingsFiles" -}}
{{- dict
      "roles.json" (include "kpo-platform.teamRoles" .)
      "pools.json" (include "kpo-platform.teamPools" .)
      "connections.json" (include "kpo-platform.gitConnections" .)
      "ssh.json" (include "kpo-platform.sshHostKeySettings" .)
    | toJson -}}
{{- end -}}

{{/* context → the name of the ConfigMap with the Job's input */}}
{{- define "kpo-platform.teamSettingsConfigMapName" -}}
{{- include "kpo-platform.hashedName" (list . "team-settings" (include "kpo-platform.teamSettingsFiles" .)) -}}
{{- end -}}
