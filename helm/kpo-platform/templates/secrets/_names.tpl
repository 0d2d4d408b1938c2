{{/* context → {platform Secret: name of the existing Secret in the values, or ""} as JSON. The only list of the platform's
Secrets; files/scripts/create_secrets.py has a generator for each of them, and a chart test compares. */}}
{{- define "kpo-platform.platformSecrets" -}}
{{- dict
      "admin" .Values.adminSecretName
      "api-secret-key" .Values.apiSecretKeySecretName
      "broker" .Values.data.brokerUrlSecretName
      "database" .Values.data.metadataSecretName
      "fernet-key" .Values.fernetKeySecretName
      "jwt-secret" .Values.jwtSecretName
    | toJson -}}
{{- end -}}

{{/* (list context secret) → the name of a platform Secret: the existing one in the values, or the generated one */}}
{{- define "kpo-platform.secretName" -}}
{{- $secrets := include "kpo-platform.platformSecrets" (first .) | fromJson -}}
{{- if not (hasKey $secrets (last .)) -}}
{{- fail (printf "ERROR: Secret %s is unknown: the helper platformSecrets does not list it. Correct the template." (last .)) -}}
{{- end -}}
{{- get $secrets (last .) | default (include "kpo-platform.name" .) -}}
{{- end -}}

{{/* context → {platform Secret: name} of the Secrets that the secrets Job generates, as JSON */}}
{{- define "kpo-platform.generatedSecrets" -}}
{{- $generated := dict -}}
{{- range $secret := include "kpo-platform.platformSecrets" . | fromJson | keys | sortAlpha -}}
{{- $name := include "kpo-platform.name" (list $ $secret) -}}
{{- $isExternal := or (and (eq $secret "database") $.Values.data.metadataConnection.host) (and (eq $secret "broker") (not (include "kpo-platform.hasBroker" $))) -}}
{{- if and (not $isExternal) (eq $name (include "kpo-platform.secretName" (list $ $secret))) -}}
{{- $_ := set $generated $secret $name -}}
{{- end -}}
{{- end -}}
{{- toJson $generated -}}
{{- end -}}

{{/* context → {purpose: name} of the existing Secrets with names of their own that pods use, as JSON */}}
{{- define "kpo-platform.existingSecrets" -}}
{{- $secrets := dict -}}
{{- range $secret := include "kpo-platform.platformSecrets" . | fromJson | keys | sortAlpha -}}
{{- $name := include "kpo-platform.secretName" (list $ $secret) -}}
{{- $isUnused := and (eq $secret "broker") (not (include "kpo-platform.hasWorkers" $)) -}}
{{- if not (or $isUnused (eq $name (include "kpo-platform.name" (list $ $secret)))) -}}
{{- $_ := set $secrets $secret $name -}}
{{- end -}}
{{- end -}}
{{- with .Values.data.metadataConnection -}}
{{- if .host -}}
{{- range $purpose, $name := dict "database-password" .passwordSecretName "database-ca" .caSecretName -}}
{{- with $name -}}{{- $_ := set $secrets $purpose . -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.oidc.issuer -}}{{- $_ := set $secrets "oidc-client" .Values.oidc.clientSecretName -}}{{- end -}}
{{- with .Values.dags.gitSync -}}
{{- if and .enabled .credentialsSecret -}}
{{- $_ := set $secrets (ternary "git-https" "git-ssh" (empty (include "kpo-platform.gitSyncUsesSsh" $))) .credentialsSecret -}}
{{- end -}}
{{- end -}}
{{- toJson $secrets -}}
{{- end -}}
