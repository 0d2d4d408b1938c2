{{/* (list context component port) → a headless Service, which gives each pod a stable host name for serving its task logs */}}
{{- define "kpo-platform.logService" -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "kpo-platform.name" (list (first .) (index . 1)) }}
  namespace: {{ (first .).Release.Namespace | quote }}
  labels:
    {{- include "kpo-platform.labels" (list (first .) (index . 1)) | nindent 4 }}
spec:
  clusterIP: None
  # Logs of earlier tasks are readable while the pod starts.
  publishNotReadyAddresses: true
  selector:
    {{- include "kpo-platform.selectorLabels" (list (first .) (index . 1)) | nindent 4 }}
  ports:
    - name: logs
      port: {{ last . }}
      targetPort: logs
{{- end -}}
