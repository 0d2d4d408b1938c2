{{/* context → {what: name} of the secrets that nobody else brings, as JSON */}}
{{- define "kpo-platform.ownSecrets" -}}
{{- $own := dict -}}
{{- range list "admin" "api-secret-key" "broker" "database" "fernet-key" "jwt-secret" -}}
{{- $name := include "kpo-platform.name" (list $ .) -}}
{{- $elsewhere := or (and (eq . "database") $.Values.data.metadataConnection.host) (and (eq . "broker") (not (include "kpo-platform.hasBroker" $))) -}}
{{- if and (not $elsewhere) (eq $name (include "kpo-platform.secretName" (list $ .))) -}}
{{- $_ := set $own . $name -}}
{{- end -}}
{{- end -}}
{{- toJson $own -}}
{{- end -}}

{{/* context → the pod that makes the secrets */}}
{{- define "kpo-platform.secretsPod" -}}
serviceAccountName: {{ include "kpo-platform.name" (list . "secrets") }}
automountServiceAccountToken: true
restartPolicy: OnFailure
{{ include "kpo-platform.airflowPod" . }}
containers:
  - name: make-secrets
    {{- include "kpo-platform.airflowContainer" . | nindent 4 }}
    args: [python, /opt/kpo-platform/scripts/make_secrets.py]
    env:
      - name: CONNECTION_CHECK_MAX_COUNT
        value: "0"
      - name: NAMESPACE
        value: {{ .Release.Namespace }}
      - name: SECRETS
        value: {{ include "kpo-platform.ownSecrets" . | quote }}
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
volumes:
  - name: scripts
    configMap:
      name: {{ include "kpo-platform.once" (list . "kpo-platform.scriptsName") }}
{{- end -}}
