{{/* Log volumes. By default, each pod that runs tasks has a volume of its own and serves its logs. With an existing claim, all
pods share one volume, and the API server reads the logs directly. */}}

{{/* context → the kind of a workload with task logs; a StatefulSet if each pod has its own volume */}}
{{- define "kpo-platform.logWorkloadKind" -}}
{{- ternary "Deployment" "StatefulSet" (not (empty .Values.logs.persistence.existingClaim)) -}}
{{- end -}}

{{/* (list context component) → the fields of a StatefulSet that a Deployment does not have; empty for a Deployment */}}
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

{{/* context → the shared log volume, if there is one */}}
{{- define "kpo-platform.logVolume" -}}
{{- with .Values.logs.persistence.existingClaim -}}
- name: logs
  persistentVolumeClaim:
    claimName: {{ . | quote }}
{{- end -}}
{{- end -}}

{{/* nothing → the mount of the log volume */}}
{{- define "kpo-platform.logMount" -}}
- name: logs
  mountPath: /opt/airflow/logs
{{- end -}}
