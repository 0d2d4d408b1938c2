{{/* context → the init container of the DAG processor that waits for the teams' roles: a DAG that names a missing role fails
to import */}}
{{- define "kpo-platform.waitForRolesContainer" -}}
{{- if and .Values.teams (include "kpo-platform.usesFabAuth" .) -}}
- name: wait-for-roles
  {{- include "kpo-platform.airflowContainerFields" . | nindent 2 }}
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
