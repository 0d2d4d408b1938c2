{{/* context → the pod that migrates the database and creates the first user, or downgrades the schema */}}
{{- define "kpo-platform.migrationPodSpec" -}}
serviceAccountName: {{ include "kpo-platform.name" (list . "migration") }}
automountServiceAccountToken: false
restartPolicy: Never
{{ include "kpo-platform.airflowPodSpec" . }}
containers:
  - name: migrate
    {{- include "kpo-platform.airflowContainerFields" . | nindent 4 }}
    args: [python, /opt/kpo-platform/scripts/migrate.py]
    terminationMessagePolicy: FallbackToLogsOnError
    env:
      {{- include "kpo-platform.airflowEnv" . | nindent 6 }}
      - name: DOWNGRADE_TO
        value: {{ .Values.migrateDatabaseJob.downgradeTo | quote }}
    resources:
      {{- toYaml .Values.migrateDatabaseJob.resources | nindent 6 }}
    volumeMounts:
      {{- include "kpo-platform.airflowMounts" . | nindent 6 }}
      - name: admin
        mountPath: /opt/kpo-platform/admin
        readOnly: true
volumes:
  {{- include "kpo-platform.airflowVolumes" . | nindent 2 }}
  - name: admin
    secret:
      secretName: {{ include "kpo-platform.secretName" (list . "admin") | quote }}
{{- end -}}
