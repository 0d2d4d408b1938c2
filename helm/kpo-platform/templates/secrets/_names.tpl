{{/* Which secrets are made, and which are others'. */}}

{{/* context → {what: name} of the secrets that nobody else brings, as JSON */}}
{{- define "kpo-platform.generatedSecrets" -}}
{{- $own := dict -}}
{{- range list "admin" "api-secret-key" "broker" "database" "fernet-key" "jwt-secret" -}}
{{- $name := include "kpo-platform.name" (list $ .) -}}
{{- $elsewhere := or (and (eq . "database") $.Values.data.metadataConnection.host) (and (eq . "broker") (not (include "kpo-platform.hasBroker" $))) -}}
{{- if and (not $elsewhere) (eq $name (include "kpo-platform.secretName" (list $ .))) -}}
{{- $_ := set $own . $name -}}
{{- end -}}
{{- end -}}
{{- toJson $own -}}
{{- end -}}

{{/* context → {what: name} of the secrets that the values name, as JSON */}}
{{- define "kpo-platform.existingSecrets" -}}
{{- $given := dict -}}
{{- range list "admin" "api-secret-key" "broker" "database" "fernet-key" "jwt-secret" -}}
{{- $name := include "kpo-platform.secretName" (list $ .) -}}
{{- $unused := and (eq . "broker") (not (include "kpo-platform.hasWorkers" $)) -}}
{{- if not (or $unused (eq $name (include "kpo-platform.name" (list $ .)))) -}}
{{- $_ := set $given . $name -}}
{{- end -}}
{{- end -}}
{{- with .Values.data.metadataConnection -}}
{{- if .host -}}
{{- range $what, $name := dict "database-password" .passwordSecretName "database-ca" .caSecretName -}}
{{- with $name -}}{{- $_ := set $given $what . -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if .Values.oidc.issuer -}}{{- $_ := set $given "oidc-client" .Values.oidc.clientSecretName -}}{{- end -}}
{{- with .Values.dags.gitSync -}}
{{- if and .enabled .credentialsSecret -}}
{{- $_ := set $given (ternary "git-https" "git-ssh" (empty (include "kpo-platform.gitSyncUsesSsh" $))) .credentialsSecret -}}
{{- end -}}
{{- end -}}
{{- toJson $given -}}
{{- end -}}
