{{/* context → refusals about an Airflow that is there already, as JSON */}}
{{- define "kpo-platform.existingAirflowErrors" -}}
{{- $errors := list -}}
{{- if and (not .Values.airflow.enabled) (not .Values.airflow.serviceAccounts) -}}
{{- $errors = append $errors "ERROR: airflow.enabled is false and airflow.serviceAccounts is empty, so nobody could start the teams' pods; name the service accounts of your Airflow's scheduler or workers, and of its triggerer." -}}
{{- end -}}
{{- if and .Values.airflow.enabled .Values.airflow.apiService.name -}}
{{- $errors = append $errors (printf "ERROR: airflow.apiService.name is %s, but airflow.enabled is true and the API server is the chart's own; leave it out, or set airflow.enabled to false." .Values.airflow.apiService.name) -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
