{{/* (list context component) → the selector labels of a component; immutable in workloads */}}
{{- define "kpo-platform.selectorLabels" -}}
app.kubernetes.io/name: {{ (first .).Chart.Name }}
app.kubernetes.io/instance: {{ (first .).Release.Name | quote }}
app.kubernetes.io/component: {{ last . }}
{{- end -}}

{{/* (list context component) → the labels of a component's objects */}}
{{- define "kpo-platform.labels" -}}
{{ include "kpo-platform.selectorLabels" . }}
app.kubernetes.io/part-of: {{ (first .).Chart.Name }}
app.kubernetes.io/managed-by: {{ (first .).Release.Service }}
app.kubernetes.io/version: {{ (first .).Chart.AppVersion | quote }}
{{- end -}}
