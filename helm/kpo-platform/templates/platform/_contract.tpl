{{/* context → the contract as compact JSON: the teams' defaults once, and each team's fields that differ */}}
{{- define "kpo-platform.contract" -}}
{{- include "kpo-platform.resolveTeams" . -}}
{{- $common := omit (deepCopy .Values.teamDefaults) "createNamespace" -}}
{{- include "kpo-platform.resolveTeam" (list "" $common) -}}
{{- $common = omit $common "namespace" "pool" -}}
{{- $teams := dict -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- $differing := dict -}}
{{- range $field, $value := omit $team "createNamespace" -}}
{{- if not (and (hasKey $common $field) (deepEqual $value (get $common $field))) -}}
{{- $_ := set $differing $field $value -}}
{{- end -}}
{{- end -}}
{{- $_ := set $teams $name $differing -}}
{{- end -}}
{{- dict
      "version" 1
      "chartVersion" .Chart.Version
      "release" (dict "name" .Release.Name "namespace" .Release.Namespace)
      "airflow" (include "kpo-platform.contractAirflow" . | fromJson)
      "xcomSidecar" (include "kpo-platform.contractXcomSidecar" . | fromJson)
      "labelPolicy" .Values.labelPolicy
      "gpuResource" .Values.gpuResource
      "podLink" .Values.podLink
      "rules" (include "kpo-platform.contractRules" . | fromJson)
      "podTemplates" (include "kpo-platform.readYamlFiles" (list . "files/pod_templates/*.yaml") | fromJson)
      "sidecars" (include "kpo-platform.readYamlFiles" (list . "files/pod_templates/sidecars/*.yaml") | fromJson)
      "isolation" (include "kpo-platform.contractIsolation" . | fromJson)
      "teamDefaults" $common
      "teams" $teams
    | toJson -}}
{{- end -}}

{{/* context → API Service, Secrets and service accounts of Airflow as JSON; Airflow lists all files of a try only in
     these remote stores, and looks at no volume beside a remote log (3.3, file_task_handler.py, `_read`) */}}
{{- define "kpo-platform.contractAirflow" -}}
{{- $logging := (include "kpo-platform.cached" (list . "kpo-platform.airflowConfig") | fromJson).logging -}}
{{- $hasRemoteLogs := eq (lower (toString (get $logging "remote_logging"))) "true" -}}
{{- $listsRemoteLogs := regexMatch "^(s3://|gs://|wasb)" (toString (get $logging "remote_base_log_folder")) -}}
{{- dict
      "apiService" (dict "name" (.Values.airflow.apiService.name | default (include "kpo-platform.name" (list . "api-server"))) "port" (ternary 8080 .Values.airflow.apiService.port .Values.airflow.enabled) "path" (include "kpo-platform.publicPath" .))
      "adminSecret" (include "kpo-platform.secretName" (list . "admin"))
      "connectionsSecret" (include "kpo-platform.name" (list . "connections"))
      "serviceAccounts" (include "kpo-platform.launcherAccounts" . | fromJsonArray)
      "sharedLogs" (and .Values.airflow.enabled (ternary $listsRemoteLogs (ne .Values.logs.persistence.existingClaim "") $hasRemoteLogs))
    | toJson -}}
{{- end -}}

{{/* context → the XCom sidecar of the stock operator as JSON */}}
{{- define "kpo-platform.contractXcomSidecar" -}}
{{- dict
      "image" (include "kpo-platform.imageName" (list . "xcomSidecar"))
      "resources" .Values.xcomSidecar.resources
      "securityContext" (include "kpo-platform.containerSecurityContext" . | fromYaml)
    | toJson -}}
{{- end -}}
