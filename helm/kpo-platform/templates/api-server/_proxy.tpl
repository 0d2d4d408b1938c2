{{/* context → the API server's arguments behind a proxy that terminates TLS. Only the proxy's headers show that a request came
over https, and Airflow sends its login cookie as secure only then. */}}
{{- define "kpo-platform.proxyArguments" -}}
{{- if hasPrefix "https://" .Values.publicUrl }}, --proxy-headers{{ end -}}
{{- end -}}

{{/* context → trust proxy headers of all peers; the NetworkPolicy limits who can connect */}}
{{- define "kpo-platform.proxyEnv" -}}
{{- if hasPrefix "https://" .Values.publicUrl -}}
- name: FORWARDED_ALLOW_IPS
  value: "*"
{{- end -}}
{{- end -}}
