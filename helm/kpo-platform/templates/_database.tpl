{{/* How Airflow's containers find the database. */}}

{{/* context → the database's URL; in parts, Kubernetes puts the password of the first variable into the second */}}
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
{{- /* Left to itself, Airflow gives the URL above to a driver that calls the same thing `ssl`. */}}
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

{{/* context → mount of the certificate authority of the database's server, where the values name one */}}
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
