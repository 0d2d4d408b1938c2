{{/* context → the sidecar that deletes old task logs; a native sidecar, so that the component stays the default container of
`kubectl logs` */}}
{{- define "kpo-platform.logGroomerContainer" -}}
{{- with .Values.logGroomerSidecar -}}
{{- if .retentionDays -}}
- name: log-groomer
  {{- include "kpo-platform.airflowContainerFields" $ | nindent 2 }}
  restartPolicy: Always
  args: [python, /opt/kpo-platform/scripts/clean_logs.py]
  env:
    - name: RETENTION_DAYS
      value: {{ .retentionDays | quote }}
    - name: CONNECTION_CHECK_MAX_COUNT
      value: "0"
  resources:
    {{- toYaml .resources | nindent 4 }}
  volumeMounts:
    - {name: scripts, mountPath: /opt/kpo-platform/scripts, readOnly: true}
    - {name: logs, mountPath: /opt/airflow/logs}
{{- end -}}
{{- end -}}
{{- end -}}
