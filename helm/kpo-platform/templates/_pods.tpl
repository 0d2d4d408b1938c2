{{/* Parts that every pod of the platform has. All of them pass the `restricted` Pod Security level. */}}

{{/* (list context name) → the whole name of one of `images`; a prefix takes the place of the registry that it names */}}
{{- define "kpo-platform.imageName" -}}
{{- $images := (first .).Values.images -}}
{{- $image := get $images (last .) -}}
{{- $repository := $image.repository -}}
{{- with $images.registryPrefix -}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") -}}
{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository $image.tag -}}
{{- end -}}
{{- end -}}

{{/* values of a component → where its pods run */}}
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

{{/* context → what the spec of every pod of the release starts with */}}
{{- define "kpo-platform.podSpec" -}}
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* context → what the spec of every Airflow pod starts with; user and group are those of the official image */}}
{{- define "kpo-platform.airflowPodSpec" -}}
{{ include "kpo-platform.podSpec" . }}
securityContext:
  {{- include "kpo-platform.podSecurityContext" (list 50000 0) | nindent 2 }}
{{- end -}}

{{/* context → image and security context of an Airflow container. Its entrypoint stays the image's: dumb-init. */}}
{{- define "kpo-platform.airflowContainerFields" -}}
image: {{ include "kpo-platform.imageName" (list . "airflow") }}
imagePullPolicy: {{ .Values.images.airflow.pullPolicy }}
securityContext:
  {{- include "kpo-platform.containerSecurityContext" . | nindent 2 }}
{{- end -}}
