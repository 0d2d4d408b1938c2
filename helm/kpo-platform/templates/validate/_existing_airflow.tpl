{{/* context → errors about an existing Airflow as JSON */}}
{{- define "kpo-platform.existingAirflowErrors" -}}
{{- $errors := list -}}
{{- if and (not .Values.airflow.enabled) (not .Values.airflow.serviceAccounts) -}}
{{- $errors = append $errors "ERROR: airflow.serviceAccounts is empty: airflow.enabled is false, so no service account may start the teams' pods. List the service accounts of your Airflow's scheduler or workers, and of its triggerer." -}}
{{- end -}}
{{- if and .Values.airflow.enabled .Values.airflow.apiService.name -}}
{{- $errors = append $errors (printf "ERROR: airflow.apiService.name is %s: airflow.enabled is true, so the chart runs its own API server. Remove the value, or set airflow.enabled to false." .Values.airflow.apiService.name) -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
