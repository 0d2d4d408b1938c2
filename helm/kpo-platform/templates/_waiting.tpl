{{/* context → the init container that waits until the database is there and migrated. A pod that waits is healthy, so
`helm install --wait` and Argo CD need no hooks and no order. */}}
{{- define "kpo-platform.waitForMigrations" -}}
- name: wait-for-migrations
  {{- include "kpo-platform.airflowContainer" . | nindent 2 }}
  args: [python, /opt/kpo-platform/scripts/wait_for_migrations.py]
  env:
    {{- include "kpo-platform.airflowEnv" . | nindent 4 }}
  volumeMounts:
    {{- include "kpo-platform.airflowMounts" . | nindent 4 }}
{{- end -}}
