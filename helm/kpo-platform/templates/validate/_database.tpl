{{/* Airflow's database: the embedded one, or one that the values name in one way. */}}

{{/* context → refusals about the database, as JSON */}}
{{- define "kpo-platform.databaseErrors" -}}
{{- $errors := list -}}
{{- $data := .Values.data -}}
{{- if .Values.airflow.enabled -}}
{{- if and (not .Values.postgresql.enabled) (not $data.metadataSecretName) (not $data.metadataConnection.host) -}}
{{- $errors = append $errors "ERROR: postgresql.enabled is false and data names no database, so Airflow has none; set data.metadataConnection.host, or name a secret with the key `connection` in data.metadataSecretName." -}}
{{- end -}}
{{- range $field, $given := dict "metadataSecretName" $data.metadataSecretName "metadataConnection.host" $data.metadataConnection.host -}}
{{- if and $.Values.postgresql.enabled $given -}}
{{- $errors = append $errors (printf "ERROR: data.%s names a database while postgresql.enabled is true; set postgresql.enabled to false." $field) -}}
{{- end -}}
{{- end -}}
{{- if and $data.metadataSecretName $data.metadataConnection.host -}}
{{- $errors = append $errors "ERROR: data.metadataSecretName and data.metadataConnection.host both name a database; leave one of them out." -}}
{{- end -}}
{{- if and $data.metadataConnection.host (not $data.metadataConnection.passwordSecretName) -}}
{{- $errors = append $errors "ERROR: data.metadataConnection has a host and no passwordSecretName; name a secret whose key `password` is the password of its user." -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
