{{/* context → the pod that creates and checks the platform's Secrets */}}
{{- define "kpo-platform.secretsPodSpec" -}}
{{- $existing := include "kpo-platform.existingSecrets" . | fromJson -}}
serviceAccountName: {{ include "kpo-platform.name" (list . "secrets") }}
automountServiceAccountToken: false
restartPolicy: Never
{{ include "kpo-platform.airflowPodSpec" . }}
containers:
  - name: make-secrets
    {{- include "kpo-platform.airflowContainerFields" . | nindent 4 }}
    args: [python, /opt/kpo-platform/scripts/create_secrets.py]
    terminationMessagePolicy: FallbackToLogsOnError
    env:
      - name: CONNECTION_CHECK_MAX_COUNT
        value: "0"
      - name: NAMESPACE
        value: {{ .Release.Namespace | quote }}
      - name: SECRETS
        value: {{ include "kpo-platform.generatedSecrets" . | quote }}
      - name: EXISTING_SECRETS
        value: {{ toJson $existing | quote }}
      - name: DATABASE_HOST
        value: {{ include "kpo-platform.serviceHost" (list . "postgresql") }}
      - name: BROKER_HOST
        value: {{ include "kpo-platform.serviceHost" (list . "redis") }}
    resources:
      {{- toYaml .Values.secretsJob.resources | nindent 6 }}
    volumeMounts:
      - name: scripts
        mountPath: /opt/kpo-platform/scripts
        readOnly: true
      {{- include "kpo-platform.tokenMount" . | nindent 6 }}
      {{- range $purpose, $_ := $existing }}
      - {name: {{ $purpose }}, mountPath: /opt/kpo-platform/existing-secrets/{{ $purpose }}, readOnly: true}
      {{- end }}
volumes:
  - name: scripts
    configMap:
      name: {{ include "kpo-platform.cached" (list . "kpo-platform.scriptsConfigMapName") }}
  {{- include "kpo-platform.tokenVolume" . | nindent 2 }}
  {{- range $purpose, $name := $existing }}
  # A missing Secret must not block the creation of the others; the Job reports it.
  - name: {{ $purpose }}
    secret: {secretName: {{ $name | quote }}, optional: true}
  {{- end }}
{{- end -}}
