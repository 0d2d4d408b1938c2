{{/* Object names. No other template builds names. */}}

{{/* context → the prefix of all object names: fullnameOverride or the release name */}}
{{- define "kpo-platform.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* (list context component) → the name of a component's objects */}}
{{- define "kpo-platform.name" -}}
{{- printf "%s-%s" (include "kpo-platform.fullname" (first .)) (last .) -}}
{{- end -}}

{{/* (list context component) → the host name of a component's Service, valid in all namespaces */}}
{{- define "kpo-platform.serviceHost" -}}
{{- printf "%s.%s.svc" (include "kpo-platform.name" .) (first .).Release.Namespace -}}
{{- end -}}

{{/* context → the URL of Airflow's execution API, which tasks report to */}}
{{- define "kpo-platform.executionApiUrl" -}}
{{- printf "http://%s:8080%s/execution/" (include "kpo-platform.serviceHost" (list . "api-server")) (include "kpo-platform.publicPath" .) -}}
{{- end -}}

{{/* (list context prefix data) → a name with a hash of the data, for immutable objects */}}
{{- define "kpo-platform.hashedName" -}}
{{- printf "%s-%s" (include "kpo-platform.name" (list (index . 0) (index . 1))) (index . 2 | toJson | sha256sum | trunc 10) -}}
{{- end -}}

{{/* context → the service accounts that may start pods for the teams as JSON: [{"namespace", "name"}] */}}
{{- define "kpo-platform.launcherAccounts" -}}
{{- $accounts := list -}}
{{- range ternary (list (include "kpo-platform.taskRunner" .) "triggerer") list .Values.airflow.enabled -}}
{{- $accounts = append $accounts (dict "namespace" $.Release.Namespace "name" (include "kpo-platform.name" (list $ .))) -}}
{{- end -}}
{{- toJson (concat $accounts .Values.airflow.serviceAccounts) -}}
{{- end -}}
