{{/* context → nothing; leaves the resolved teams in .Values.resolvedTeams: {name: team}, every default filled in.
Whoever ranges over teams includes this first; only the first call does the work, and refuses what cannot be. */}}
{{- define "kpo-platform.resolveTeams" -}}
{{- if not (hasKey .Values "resolvedTeams") -}}
{{- $resolved := dict -}}
{{- range $name, $given := .Values.teams -}}
{{- $team := mergeOverwrite (deepCopy $.Values.teamDefaults) (deepCopy ($given | default dict)) -}}
{{- include "kpo-platform.resolveTeam" (list $name $team) -}}
{{- $_ := set $team "role" (include "kpo-platform.teamRole" (list $ $name)) -}}
{{- $_ := set $resolved $name $team -}}
{{- end -}}
{{- $_ := set .Values "resolvedTeams" $resolved -}}
{{- include "kpo-platform.validate" . -}}
{{- end -}}
{{- end -}}

{{/* (list context name) → the role of the team's people in Airflow; nothing where the chart's Airflow has no such roles */}}
{{- define "kpo-platform.teamRole" -}}
{{- if include "kpo-platform.usesFabAuth" (first .) -}}
{{- printf "team-%s" (last .) -}}
{{- end -}}
{{- end -}}

{{/* (list name team) → nothing; the team is left with its short forms spelled out */}}
{{- define "kpo-platform.resolveTeam" -}}
{{- $team := last . -}}
{{- $_ := set $team "namespace" ($team.namespace | default (printf "team-%s" (first .))) -}}
{{- $_ := set $team "owners" (include "kpo-platform.resolveOwners" $team.owners | fromJsonArray) -}}
{{- $_ := set $team "quota" (include "kpo-platform.resolveQuantities" $team.quota | fromJson) -}}
{{- $_ := set $team "sizes" (include "kpo-platform.resolveSizes" $team.sizes | fromJson) -}}
{{- $_ := set $team "volumes" (include "kpo-platform.resolveVolumes" $team.volumes | fromJsonArray) -}}
{{- $_ := set $team "pool" (include "kpo-platform.resolvePool" . | fromJson) -}}
{{- $_ := set $team.serviceAccount "name" "team-pod" -}}
{{- end -}}

{{/* context → the shared DAG bundle, and those of all teams that have a repository, as JSON for [dag_processor] dag_bundle_config_list */}}
{{- define "kpo-platform.dagBundles" -}}
{{- include "kpo-platform.resolveTeams" . -}}
{{- $bundles := include "kpo-platform.sharedDagsBundle" . | fromJsonArray -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- if $team.dags.repo -}}
{{- $kwargs := dict "repo_url" $team.dags.repo "tracking_ref" $team.dags.ref "refresh_interval" (int $team.dags.refreshInterval) -}}
{{- if $team.dags.subdir -}}
{{- $_ := set $kwargs "subdir" $team.dags.subdir -}}
{{- end -}}
{{- if $team.dags.credentialsSecret -}}
{{- $_ := set $kwargs "git_conn_id" (include "kpo-platform.gitConnectionName" $name) -}}
{{- end -}}
{{- $bundles = append $bundles (dict "name" $name "classpath" "kpo_platform.airflow.bundles.git.TeamGitDagBundle" "kwargs" $kwargs) -}}
{{- end -}}
{{- end -}}
{{- toJson $bundles -}}
{{- end -}}
