{{/* (list context resources) → the init container that waits until the database is migrated, so that `helm install --wait` and
Argo CD need no hooks and no order. It has no Fernet key. Its resources are those of the main container, so that it
does not raise the pod's requests. */}}
{{- define "kpo-platform.waitForMigrationsContainer" -}}
{{- with first . -}}
- name: wait-for-migrations
  {{- include "kpo-platform.airflowContainerFields" . | nindent 2 }}
  args: [python, /opt/kpo-platform/scripts/wait_for_migrations.py]
  # `kubectl describe` shows what the container waits for, or its error.
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
