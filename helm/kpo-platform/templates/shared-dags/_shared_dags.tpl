{{/* DAGs of all teams in one place: a repository that git-sync follows, or a volume that somebody else fills. */}}

{{/* context → the folder of the shared DAGs in Airflow's pods; nothing where there are none */}}
{{- define "kpo-platform.sharedDagsFolder" -}}
{{- if .Values.dags.gitSync.enabled -}}
{{- list "/opt/airflow/shared/repo" .Values.dags.gitSync.subPath | compact | join "/" -}}
{{- else if .Values.dags.persistence.existingClaim -}}
/opt/airflow/shared
{{- end -}}
{{- end -}}

{{/* context → the bundle of the shared DAGs, as JSON: a list of one or none. How often Airflow looks at a volume is its own
setting. */}}
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

{{/* context → where containers that read DAGs find the shared ones */}}
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

{{/* context → the volumes of the mounts above, and of the sidecar */}}
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
    # Its group is the pod's, by which git-sync reads it.
    defaultMode: 0440
{{- end }}
{{- else if .Values.dags.persistence.existingClaim -}}
- name: shared-dags
  persistentVolumeClaim:
    claimName: {{ .Values.dags.persistence.existingClaim | quote }}
    readOnly: true
{{- end -}}
{{- end -}}
