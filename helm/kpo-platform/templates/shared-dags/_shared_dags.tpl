{{/* DAGs shared by all teams: a repository with git-sync, or an existing volume. */}}

{{/* context → the folder of the shared DAGs in Airflow's pods; empty without shared DAGs */}}
{{- define "kpo-platform.sharedDagsFolder" -}}
{{- if .Values.dags.gitSync.enabled -}}
{{- list "/opt/airflow/shared/repo" .Values.dags.gitSync.subPath | compact | join "/" -}}
{{- else if .Values.dags.persistence.existingClaim -}}
/opt/airflow/shared
{{- end -}}
{{- end -}}

{{/* context → the bundle of the shared DAGs as JSON: a list of one bundle or none. A volume is read at Airflow's default
interval. */}}
{{- define "kpo-platform.sharedDagsBundle" -}}
{{- $bundles := list -}}
{{- with include "kpo-platform.sharedDagsFolder" . -}}
{{- $kwargs := dict "path" . -}}
{{- if $.Values.dags.gitSync.enabled -}}
{{- $_ := set $kwargs "refresh_interval" ($.Values.dags.gitSync.period | trimSuffix "s" | int) -}}
{{- end -}}
{{- $bundles = append $bundles (dict "name" "shared-dags" "classpath" "airflow.dag_processing.bundles.local.LocalDagBundle" "kwargs" $kwargs) -}}
{{- end -}}
{{- toJson $bundles -}}
{{- end -}}

{{/* context → the mount of the shared DAGs */}}
{{- define "kpo-platform.sharedDagsMounts" -}}
{{- if include "kpo-platform.sharedDagsFolder" . -}}
- name: shared-dags
  mountPath: /opt/airflow/shared
  readOnly: true
  {{- if not .Values.dags.gitSync.enabled }}
  {{- with .Values.dags.persistence.subPath }}
  subPath: {{ . | quote }}
  {{- end }}
  {{- end }}
{{- end -}}
{{- end -}}

{{/* context → the volumes of the mount above and of git-sync */}}
{{- define "kpo-platform.sharedDagsVolumes" -}}
{{- if .Values.dags.gitSync.enabled -}}
- name: shared-dags
  emptyDir: {}
- name: git-sync-tmp
  emptyDir: {}
{{- with .Values.dags.gitSync.credentialsSecret }}
- name: git-secret
  secret:
    secretName: {{ . | quote }}
    # git-sync reads the files through the pod's fsGroup.
    defaultMode: 0440
{{- end }}
{{- else if .Values.dags.persistence.existingClaim -}}
- name: shared-dags
  persistentVolumeClaim:
    claimName: {{ .Values.dags.persistence.existingClaim | quote }}
    readOnly: true
{{- end -}}
{{- end -}}
