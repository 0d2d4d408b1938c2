{{/* context → the pod that makes the secrets */}}
{{- define "kpo-platform.secretsPod" -}}
{{- $given := include "kpo-platform.givenSecrets" . | fromJson -}}
serviceAccountName: {{ include "kpo-platform.name" (list . "secrets") }}
automountServiceAccountToken: false
restartPolicy: Never
{{ include "kpo-platform.airflowPod" . }}
containers:
  - name: make-secrets
    {{- include "kpo-platform.airflowContainer" . | nindent 4 }}
    args: [python, /opt/kpo-platform/scripts/make_secrets.py]
    terminationMessagePolicy: FallbackToLogsOnError
    env:
      - name: CONNECTION_CHECK_MAX_COUNT
        value: "0"
      - name: NAMESPACE
        value: {{ .Release.Namespace | quote }}
      - name: SECRETS
        value: {{ include "kpo-platform.ownSecrets" . | quote }}
      - name: GIVEN
        value: {{ toJson $given | quote }}
      - name: DATABASE_HOST
        value: {{ include "kpo-platform.host" (list . "postgresql") }}
      - name: BROKER_HOST
        value: {{ include "kpo-platform.host" (list . "redis") }}
    resources:
      {{- toYaml .Values.secretsJob.resources | nindent 6 }}
    volumeMounts:
      - name: scripts
        mountPath: /opt/kpo-platform/scripts
        readOnly: true
      {{- include "kpo-platform.tokenMount" . | nindent 6 }}
      {{- range $what, $_ := $given }}
      - {name: {{ $what }}, mountPath: /opt/kpo-platform/given/{{ $what }}, readOnly: true}
      {{- end }}
volumes:
  - name: scripts
    configMap:
      name: {{ include "kpo-platform.once" (list . "kpo-platform.scriptsName") }}
  {{- include "kpo-platform.tokenVolume" . | nindent 2 }}
  {{- range $what, $name := $given }}
  # One that is missing must not keep the others from being made; the job says which it is.
  - name: {{ $what }}
    secret: {secretName: {{ $name | quote }}, optional: true}
  {{- end }}
{{- end -}}
