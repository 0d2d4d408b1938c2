{{/* Database connection of Airflow's containers. */}}

{{/* context → the database URL; for an external database, Kubernetes expands the password variable in the URL */}}
{{- define "kpo-platform.databaseEnv" -}}
{{- with .Values.data.metadataConnection -}}
{{- if .host -}}
- name: KPO_PLATFORM_DATABASE_PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .passwordSecretName | quote }}
      key: password
{{- $rest := printf "%s:$(KPO_PLATFORM_DATABASE_PASSWORD)@%s:%v/%s" .user .host .port .db }}
- name: AIRFLOW__DATABASE__SQL_ALCHEMY_CONN
  value: {{ printf "postgresql+psycopg2://%s?sslmode=%s" $rest .sslmode | quote }}
{{- /* Airflow's default is the URL above, but asyncpg calls the option `ssl`. */}}
- name: AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC
  value: {{ printf "postgresql+asyncpg://%s?ssl=%s" $rest .sslmode | quote }}
{{- if .caSecretName }}
- name: PGSSLROOTCERT
  value: /opt/kpo-platform/database-ca/ca.crt
{{- end }}
{{- else -}}
{{ include "kpo-platform.secretKeyEnv" (list $ "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" "database" "connection") }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* context → the mount of the database's CA certificate, if the values name one */}}
{{- define "kpo-platform.databaseMounts" -}}
{{- with .Values.data.metadataConnection -}}
{{- if and .host .caSecretName -}}
- name: database-ca
  mountPath: /opt/kpo-platform/database-ca
  readOnly: true
{{- end -}}
{{- end -}}
{{- end -}}

{{/* context → the volume of the mount above */}}
{{- define "kpo-platform.databaseVolumes" -}}
{{- with .Values.data.metadataConnection -}}
{{- if and .host .caSecretName -}}
- name: database-ca
  secret:
    secretName: {{ .caSecretName | quote }}
    items: [{key: ca.crt, path: ca.crt}]
{{- end -}}
{{- end -}}
{{- end -}}
