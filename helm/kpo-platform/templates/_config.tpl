{{/* Airflow's settings. The teams' settings are in the same mounted file, but only the DAG processor has a checksum of them:
it is the only component that must restart to read a new repository. */}}

{{/* context → the settings without the teams' settings as JSON; the value `config` overrides defaults */}}
{{- define "kpo-platform.airflowConfig" -}}
{{- mergeOverwrite (include "kpo-platform.defaultAirflowConfig" . | fromYaml) (deepCopy .Values.config) | toJson -}}
{{- end -}}

{{/* context → the teams' settings as JSON; airflow.cfg requires doubled percent signs */}}
{{- define "kpo-platform.teamAirflowConfig" -}}
{{- dict "dag_processor" (dict "dag_bundle_config_list" (include "kpo-platform.dagBundles" . | replace "%" "%%")) | toJson -}}
{{- end -}}

{{/* context → pod annotation that restarts a component when a setting changes, but not when a team changes */}}
{{- define "kpo-platform.configChecksum" -}}
checksum/config: {{ include "kpo-platform.cached" (list . "kpo-platform.airflowConfig") | sha256sum }}
{{- end -}}
