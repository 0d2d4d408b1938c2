{{/* Parts that every pod of the platform has. All of them pass the `restricted` Pod Security level. */}}

{{/* {repository, tag} → the image's name */}}
{{- define "kpo-platform.image" -}}
{{- printf "%s:%s" .repository .tag -}}
{{- end -}}

{{/* anything → the security context of a container */}}
{{- define "kpo-platform.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
{{- end -}}

{{/* user id and group id (list uid gid) → the security context of a pod */}}
{{- define "kpo-platform.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ first . }}
runAsGroup: {{ last . }}
fsGroup: {{ last . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* anything → what the spec of every Airflow pod starts with; user and group are those of the official image */}}
{{- define "kpo-platform.airflowPod" -}}
enableServiceLinks: false
securityContext:
  {{- include "kpo-platform.podSecurityContext" (list 50000 0) | nindent 2 }}
{{- end -}}

{{/* context → image and security context of an Airflow container. Its entrypoint stays the image's: dumb-init. */}}
{{- define "kpo-platform.airflowContainer" -}}
image: {{ include "kpo-platform.image" .Values.images.airflow }}
imagePullPolicy: {{ .Values.images.airflow.pullPolicy }}
securityContext:
  {{- include "kpo-platform.containerSecurityContext" . | nindent 2 }}
{{- end -}}
