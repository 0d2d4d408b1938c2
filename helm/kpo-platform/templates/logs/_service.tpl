{{/* (list context component port) → a headless Service: it gives each pod a host name that outlives the pod, under which its
task logs are served */}}
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
  # Logs of earlier tasks can be read while the pod itself is still starting.
  publishNotReadyAddresses: true
  selector:
    {{- include "kpo-platform.selectorLabels" (list (first .) (index . 1)) | nindent 4 }}
  ports:
    - name: logs
      port: {{ last . }}
      targetPort: logs
{{- end -}}
