{{/* What no schema can say: values that contradict each other. All contradictions are reported at once. */}}

{{/* context (with .Values.resolvedTeams) → nothing, or a refusal */}}
{{- define "kpo-platform.validate" -}}
{{- $errors := concat
      (include "kpo-platform.existingErrors" . | fromJsonArray)
      (include "kpo-platform.databaseErrors" . | fromJsonArray)
      (include "kpo-platform.executorErrors" . | fromJsonArray)
      (include "kpo-platform.configErrors" . | fromJsonArray)
      (include "kpo-platform.authErrors" . | fromJsonArray)
      (include "kpo-platform.metricsErrors" . | fromJsonArray)
      (include "kpo-platform.publicErrors" . | fromJsonArray)
      (include "kpo-platform.dagsErrors" . | fromJsonArray)
      (include "kpo-platform.namespaceErrors" . | fromJsonArray)
      (include "kpo-platform.teamErrors" . | fromJsonArray)
      (include "kpo-platform.volumeErrors" . | fromJsonArray)
      (include "kpo-platform.airflowErrors" . | fromJsonArray)
      (include "kpo-platform.labelErrors" . | fromJsonArray)
      (include "kpo-platform.quantityErrors" . | fromJsonArray) -}}
{{- if $errors -}}
{{- fail (printf "\n%s\n" (join "\n" $errors)) -}}
{{- end -}}
{{- end -}}

{{/* context → refusals about an Airflow that is there already, as JSON */}}
{{- define "kpo-platform.existingErrors" -}}
{{- $errors := list -}}
{{- if and (not .Values.airflow.enabled) (not .Values.airflow.serviceAccounts) -}}
{{- $errors = append $errors "ERROR: airflow.enabled is false and airflow.serviceAccounts is empty, so nobody could start the teams' pods; name the service accounts of your Airflow's scheduler or workers, and of its triggerer." -}}
{{- end -}}
{{- if and .Values.airflow.enabled .Values.airflow.apiService.name -}}
{{- $errors = append $errors (printf "ERROR: airflow.apiService.name is %s, but airflow.enabled is true and the API server is the chart's own; leave it out, or set airflow.enabled to false." .Values.airflow.apiService.name) -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}

{{/* context → refusals about the namespaces of the teams, as JSON */}}
{{- define "kpo-platform.namespaceErrors" -}}
{{- $errors := list -}}
{{- $taken := dict -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- if eq $team.namespace $.Release.Namespace -}}
{{- $errors = append $errors (printf "ERROR: teams.%s has the release's own namespace %s; choose another namespace." $name $team.namespace) -}}
{{- end -}}
{{- if or (eq $team.namespace "default") (hasPrefix "kube-" $team.namespace) -}}
{{- $errors = append $errors (printf "ERROR: teams.%s has the namespace %s, where what is not the team's runs and would be shut in with it; choose another namespace." $name $team.namespace) -}}
{{- end -}}
{{- if hasKey $taken $team.namespace -}}
{{- $errors = append $errors (printf "ERROR: teams.%s and teams.%s both have the namespace %s; give each team its own." (get $taken $team.namespace) $name $team.namespace) -}}
{{- end -}}
{{- $_ := set $taken $team.namespace $name -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
