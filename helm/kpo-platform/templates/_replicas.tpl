{{/* (list context component values) → a PodDisruptionBudget for more than one replica. With one replica it would block every
drain of the node. */}}
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

{{/* (list context replicas) → the number of replicas; 0 during a downgrade of the database's schema */}}
{{- define "kpo-platform.replicas" -}}
{{- ternary 0 (last .) (not (empty (first .).Values.migrateDatabaseJob.downgradeTo)) -}}
{{- end -}}
