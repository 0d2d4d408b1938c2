{{/* Fields that all pods of the release share. All pods pass the Pod Security level `restricted`. */}}

{{/* values of a component → the scheduling fields of its pods */}}
{{- define "kpo-platform.placement" -}}
{{- with pick . "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" -}}
{{- range $field, $value := . -}}
{{- with $value }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* nothing → the security context of a container */}}
{{- define "kpo-platform.containerSecurityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
{{- end -}}

{{/* (list uid gid) → the security context of a pod */}}
{{- define "kpo-platform.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: {{ first . }}
runAsGroup: {{ last . }}
fsGroup: {{ last . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* context → the first fields of every pod spec */}}
{{- define "kpo-platform.podSpec" -}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* context → the first fields of every Airflow pod spec; user and group of the official image */}}
{{- define "kpo-platform.airflowPodSpec" -}}
{{ include "kpo-platform.podSpec" . }}
securityContext:
  {{- include "kpo-platform.podSecurityContext" (list 50000 0) | nindent 2 }}
{{- end -}}

{{/* context → image and security context of an Airflow container, with the image's entrypoint (dumb-init) */}}
{{- define "kpo-platform.airflowContainerFields" -}}
image: {{ include "kpo-platform.imageName" (list . "airflow") }}
imagePullPolicy: {{ .Values.images.airflow.pullPolicy }}
securityContext:
  {{- include "kpo-platform.containerSecurityContext" . | nindent 2 }}
{{- end -}}
