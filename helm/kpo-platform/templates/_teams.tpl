{{/* context → nothing; sets .Values.resolvedTeams to {name: team} with all defaults, and fails for invalid values. Include it
before each use of .Values.resolvedTeams; only the first call has an effect. */}}
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

{{/* (list context name) → the name of the team's Airflow role; empty without FabAuthManager */}}
{{- define "kpo-platform.teamRole" -}}
{{- if include "kpo-platform.usesFabAuth" (first .) -}}
{{- printf "team-%s" (last .) -}}
{{- end -}}
{{- end -}}

{{/* (list name team) → nothing; replaces the short forms in the team */}}
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

{{/* context → all DAG bundles as JSON, for dag_bundle_config_list in the section dag_processor */}}
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
