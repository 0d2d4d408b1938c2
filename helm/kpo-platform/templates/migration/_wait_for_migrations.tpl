{{/* (list context resources) → the init container that waits until the database is there and migrated. A pod that waits is healthy,
so `helm install --wait` and Argo CD need no hooks and no order. It opens the database and reads nothing that is encrypted there. Its
resources are those of what comes after it, so that the pod asks for no more. */}}
{{- define "kpo-platform.waitForMigrationsContainer" -}}
{{- with first . -}}
- name: wait-for-migrations
  {{- include "kpo-platform.airflowContainerFields" . | nindent 2 }}
  args: [python, /opt/kpo-platform/scripts/wait_for_migrations.py]
  # What it waits for, or why that will never be, is shown by `kubectl describe`.
  terminationMessagePolicy: FallbackToLogsOnError
  env:
    {{- include "kpo-platform.processEnv" . | nindent 4 }}
    {{- include "kpo-platform.databaseEnv" . | nindent 4 }}
    {{- if not (include "kpo-platform.hasCodeConfigMap" .) }}
    - name: EXPECTED_PACKAGE
      value: {{ .Chart.Version | quote }}
    {{- end }}
  resources:
    {{- toYaml (last $) | nindent 4 }}
  volumeMounts:
    {{- include "kpo-platform.airflowMounts" . | nindent 4 }}
{{- end -}}
{{- end -}}
