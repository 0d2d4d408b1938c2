{{/* Every name that more than one template writes. Nothing else joins names together. */}}

{{/* context → the start of every object's name: the release's name unless fullnameOverride says otherwise */}}
{{- define "kpo-platform.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* (list context component) → the name of a component's object */}}
{{- define "kpo-platform.name" -}}
{{- printf "%s-%s" (include "kpo-platform.fullname" (first .)) (last .) -}}
{{- end -}}

{{/* (list context key) → the name of one of the platform's own secrets: the existing one if the values name it */}}
{{- define "kpo-platform.secretName" -}}
{{- $values := (first .).Values -}}
{{- $existing := dict
      "fernet-key" $values.fernetKeySecretName
      "jwt-secret" $values.jwtSecretName
      "api-secret-key" $values.apiSecretKeySecretName
      "database" $values.data.metadataSecretName
      "admin" $values.adminSecretName
      "broker" $values.data.brokerUrlSecretName -}}
{{- get $existing (last .) | default (include "kpo-platform.name" .) -}}
{{- end -}}

{{/* (list context component) → the address of a component's Service, as every namespace of the cluster resolves it */}}
{{- define "kpo-platform.serviceHost" -}}
{{- printf "%s.%s.svc" (include "kpo-platform.name" .) (first .).Release.Namespace -}}
{{- end -}}

{{/* context → the URL under which tasks reach Airflow's execution API */}}
{{- define "kpo-platform.executionApiUrl" -}}
{{- printf "http://%s:8080%s/execution/" (include "kpo-platform.serviceHost" (list . "api-server")) (include "kpo-platform.publicPath" .) -}}
{{- end -}}

{{/* (list context prefix data) → a name that changes with the data, for objects that cannot be changed in place */}}
{{- define "kpo-platform.hashedName" -}}
{{- printf "%s-%s" (include "kpo-platform.name" (list (index . 0) (index . 1))) (index . 2 | toJson | sha256sum | trunc 10) -}}
{{- end -}}

{{/* context → the service accounts that start pods for the teams, as JSON: [{"namespace": …, "name": …}] */}}
{{- define "kpo-platform.launcherAccounts" -}}
{{- $accounts := list -}}
{{- range ternary (list (include "kpo-platform.taskRunner" .) "triggerer") list .Values.airflow.enabled -}}
{{- $accounts = append $accounts (dict "namespace" $.Release.Namespace "name" (include "kpo-platform.name" (list $ .))) -}}
{{- end -}}
{{- toJson (concat $accounts .Values.airflow.serviceAccounts) -}}
{{- end -}}
