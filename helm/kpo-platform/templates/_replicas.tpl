{{/* (list context component values) → a disruption budget where there is more than one pod. With one there is none: it
would keep its node from ever being emptied. */}}
{{- define "kpo-platform.podDisruptionBudget" -}}
{{- if and (first .).Values.airflow.enabled (gt (int (last .).replicas) 1) }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "kpo-platform.name" (list (first .) (index . 1)) }}
  namespace: {{ (first .).Release.Namespace | quote }}
  labels:
    {{- include "kpo-platform.labels" (list (first .) (index . 1)) | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- include "kpo-platform.selectorLabels" (list (first .) (index . 1)) | nindent 6 }}
{{- end }}
{{- end -}}

{{/* (list context wanted) → how many pods of a component; none while the schema is taken back beneath them */}}
{{- define "kpo-platform.replicas" -}}
{{- ternary 0 (last .) (not (empty (first .).Values.migrateDatabaseJob.downgradeTo)) -}}
{{- end -}}
