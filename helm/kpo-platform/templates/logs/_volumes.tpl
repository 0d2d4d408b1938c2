{{/* Where the logs of tasks are. Each pod that runs tasks has a volume of its own and serves its logs from there; or all share
a volume that is there already, which the API server then reads itself. */}}

{{/* context → the kind of workload that runs tasks: with volumes of its own, each pod keeps its name */}}
{{- define "kpo-platform.logsKind" -}}
{{- ternary "Deployment" "StatefulSet" (not (empty .Values.logs.persistence.existingClaim)) -}}
{{- end -}}

{{/* (list context component) → what the spec of such a workload has beside that of a Deployment */}}
{{- define "kpo-platform.logsClaims" -}}
{{- with (first .).Values.logs.persistence -}}
{{- if not .existingClaim -}}
serviceName: {{ include "kpo-platform.name" $ }}
volumeClaimTemplates:
  - metadata:
      name: logs
    spec:
      accessModes: [ReadWriteOnce]
      {{- with .storageClassName }}
      storageClassName: {{ . }}
      {{- end }}
      resources:
        requests:
          storage: {{ .size }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* context → the volume that all share, if they do */}}
{{- define "kpo-platform.logsVolume" -}}
{{- with .Values.logs.persistence.existingClaim -}}
- name: logs
  persistentVolumeClaim:
    claimName: {{ . | quote }}
{{- end -}}
{{- end -}}

{{/* anything → where it is mounted */}}
{{- define "kpo-platform.logsMount" -}}
- name: logs
  mountPath: /opt/airflow/logs
{{- end -}}

{{/* (list context component port) → a headless Service: it gives each pod a host name that outlives the pod, under which its
task logs are served */}}
{{- define "kpo-platform.logsService" -}}
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
