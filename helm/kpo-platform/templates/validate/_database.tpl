{{/* context → errors about the database as JSON */}}
{{- define "kpo-platform.databaseErrors" -}}
{{- $errors := list -}}
{{- $data := .Values.data -}}
{{- if .Values.airflow.enabled -}}
{{- if and (not .Values.postgresql.enabled) (not $data.metadataSecretName) (not $data.metadataConnection.host) -}}
{{- $errors = append $errors "ERROR: postgresql.enabled is false: no external database is configured. Set data.metadataConnection.host, or name a Secret with the key `connection` in data.metadataSecretName." -}}
{{- end -}}
{{- range $field, $given := dict "metadataSecretName" $data.metadataSecretName "metadataConnection.host" $data.metadataConnection.host -}}
{{- if and $.Values.postgresql.enabled $given -}}
{{- $errors = append $errors (printf "ERROR: data.%s is set: the embedded database is enabled too. Set postgresql.enabled to false." $field) -}}
{{- end -}}
{{- end -}}
{{- if and $data.metadataSecretName $data.metadataConnection.host -}}
{{- $errors = append $errors "ERROR: data.metadataSecretName is set: data.metadataConnection.host is set too, but Airflow has one database. Remove one of the two." -}}
{{- end -}}
{{- if and $data.metadataConnection.host (not $data.metadataConnection.passwordSecretName) -}}
{{- $errors = append $errors "ERROR: data.metadataConnection.passwordSecretName is empty: data.metadataConnection.host is set. Name a Secret whose key `password` is the password of the database user." -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
