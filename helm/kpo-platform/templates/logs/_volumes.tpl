{{/* Where the logs of tasks are. Each pod that runs tasks has a volume of its own and serves its logs from there; or all share
a volume that is there already, which the API server then reads itself. */}}

{{/* context → the kind of workload that runs tasks: with volumes of its own, each pod keeps its name */}}
{{- define "kpo-platform.logWorkloadKind" -}}
{{- ternary "Deployment" "StatefulSet" (not (empty .Values.logs.persistence.existingClaim)) -}}
{{- end -}}

{{/* (list context component) → what the spec of such a workload has beside that of a Deployment */}}
{{- define "kpo-platform.logVolumeClaims" -}}
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
{{- define "kpo-platform.logVolume" -}}
{{- with .Values.logs.persistence.existingClaim -}}
- name: logs
  persistentVolumeClaim:
    claimName: {{ . | quote }}
{{- end -}}
{{- end -}}

{{/* anything → where it is mounted */}}
{{- define "kpo-platform.logMount" -}}
- name: logs
  mountPath: /opt/airflow/logs
{{- end -}}
