{{/* Volumes of Airflow's pods. ConfigMaps are mounted as folders, so that changes arrive without a restart. Where a restart
is required, a checksum in the pod's annotations triggers it. */}}

{{/* context → the mounts of every Airflow process */}}
{{- define "kpo-platform.processMounts" -}}
- name: config
  mountPath: /opt/kpo-platform/config
  readOnly: true
- name: scripts
  mountPath: /opt/kpo-platform/scripts
  readOnly: true
- name: tmp
  mountPath: /tmp
{{- end -}}

{{/* context → the volumes of the mounts above */}}
{{- define "kpo-platform.processVolumes" -}}
- name: config
  configMap:
    name: {{ include "kpo-platform.name" (list . "config") }}
- name: scripts
  configMap:
    name: {{ include "kpo-platform.cached" (list . "kpo-platform.scriptsConfigMapName") }}
- name: tmp
  emptyDir: {}
{{- end -}}

{{/* context → the mounts of a process with database access */}}
{{- define "kpo-platform.airflowMounts" -}}
{{ include "kpo-platform.processMounts" . }}
{{- include "kpo-platform.databaseMounts" . | nindent 0 }}
{{- end -}}

{{/* context → the volumes of the mounts above */}}
{{- define "kpo-platform.airflowVolumes" -}}
{{ include "kpo-platform.processVolumes" . }}
{{- include "kpo-platform.databaseVolumes" . | nindent 0 }}
{{- end -}}
