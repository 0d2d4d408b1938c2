{{/* (list context resources) → the init container that waits until the database is there and migrated. A pod that waits is healthy,
so `helm install --wait` and Argo CD need no hooks and no order. It opens the database and reads nothing that is encrypted there. Its
resources are those of what comes after it, so that the pod asks for no more. */}}
{{- define "kpo-platform.waitForMigrations" -}}
{{- with first . -}}
- name: wait-for-migrations
  {{- include "kpo-platform.airflowContainer" . | nindent 2 }}
  args: [python, /opt/kpo-platform/scripts/wait_for_migrations.py]
  # What it waits for, or why that will never be, is shown by `kubectl describe`.
  terminationMessagePolicy: FallbackToLogsOnError
  env:
    {{- include "kpo-platform.processEnv" . | nindent 4 }}
    {{- include "kpo-platform.databaseEnv" . | nindent 4 }}
    {{- if not (include "kpo-platform.carriesCode" .) }}
    - name: EXPECTED_PACKAGE
      value: {{ .Chart.Version | quote }}
    {{- end }}
  resources:
    {{- toYaml (last $) | nindent 4 }}
  volumeMounts:
    {{- include "kpo-platform.airflowMounts" . | nindent 4 }}
{{- end -}}
{{- end -}}

{{/* context → the init container that waits until the teams' roles are there: a DAG that names a role which is not is an
import error. Only the DAG processor cares. */}}
{{- define "kpo-platform.waitForRoles" -}}
{{- if and .Values.teams (include "kpo-platform.fab" .) -}}
- name: wait-for-roles
  {{- include "kpo-platform.airflowContainer" . | nindent 2 }}
  args: [python, /opt/kpo-platform/scripts/wait_for_roles.py]
  terminationMessagePolicy: FallbackToLogsOnError
  env:
    {{- include "kpo-platform.databaseEnv" . | nindent 4 }}
    - name: CONNECTION_CHECK_MAX_COUNT
      value: "0"
  resources:
    {{- toYaml .Values.dagProcessor.resources | nindent 4 }}
  volumeMounts:
    {{- include "kpo-platform.airflowMounts" . | nindent 4 }}
    - name: contract
      mountPath: /opt/kpo-platform/contract
      readOnly: true
{{- end -}}
{{- end -}}

{{/* (list context wanted) → how many pods of a component; none while the schema is taken back beneath them */}}
{{- define "kpo-platform.replicas" -}}
{{- ternary 0 (last .) (not (empty (first .).Values.migrateDatabaseJob.downgradeTo)) -}}
{{- end -}}
