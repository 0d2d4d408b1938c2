{{/* context → the contract as compact JSON */}}
{{- define "kpo-platform.contract" -}}
{{- include "kpo-platform.resolveTeams" . -}}
{{- $teams := dict -}}
{{- range $name, $team := .Values.resolvedTeams -}}
{{- $_ := set $teams $name (omit $team "createNamespace") -}}
{{- end -}}
{{- dict
      "version" 1
      "chartVersion" .Chart.Version
      "release" (dict "name" .Release.Name "namespace" .Release.Namespace)
      "airflow" (include "kpo-platform.contractAirflow" . | fromJson)
      "xcomSidecar" (include "kpo-platform.contractXcomSidecar" . | fromJson)
      "labelPolicy" .Values.labelPolicy
      "gpuResource" .Values.gpuResource
      "rules" (include "kpo-platform.contractRules" . | fromJson)
      "podTemplates" (include "kpo-platform.yamlFiles" (list . "files/pod_templates/*.yaml") | fromJson)
      "sidecars" (include "kpo-platform.yamlFiles" (list . "files/pod_templates/sidecars/*.yaml") | fromJson)
      "teams" $teams
    | toJson -}}
{{- end -}}

{{/* context → how to reach this Airflow, and who acts for it, as JSON */}}
{{- define "kpo-platform.contractAirflow" -}}
{{- dict
      "apiService" (dict "name" (.Values.airflow.apiService.name | default (include "kpo-platform.name" (list . "api-server"))) "port" (ternary 8080 .Values.airflow.apiService.port .Values.airflow.enabled))
      "adminSecret" (include "kpo-platform.secretName" (list . "admin"))
      "serviceAccounts" (include "kpo-platform.launchers" . | fromJsonArray)
    | toJson -}}
{{- end -}}

{{/* context → the container that the stock operator adds to fetch an XCom, as JSON */}}
{{- define "kpo-platform.contractXcomSidecar" -}}
{{- dict
      "image" (include "kpo-platform.image" .Values.images.xcomSidecar)
      "resources" .Values.xcomSidecar.resources
      "securityContext" (include "kpo-platform.containerSecurityContext" . | fromYaml)
    | toJson -}}
{{- end -}}

{{/* context → {role: rules} of every file under rbac/, as JSON */}}
{{- define "kpo-platform.contractRules" -}}
{{- $rules := dict -}}
{{- range $name, $role := include "kpo-platform.yamlFiles" (list . "files/rbac/*.yaml") | fromJson -}}
{{- $_ := set $rules $name $role.rules -}}
{{- end -}}
{{- toJson $rules -}}
{{- end -}}
