{{/* context → what the API server is told beside its settings. Behind TLS that ends before it, only the proxy knows that
people came by https; the cookie of a sign-in is kept from plain http for that reason alone. */}}
{{- define "kpo-platform.proxyArguments" -}}
{{- if hasPrefix "https://" .Values.publicUrl }}, --proxy-headers{{ end -}}
{{- end -}}

{{/* context → whose headers about that the API server believes: those of whoever can reach it, see NetworkPolicy */}}
{{- define "kpo-platform.proxyEnv" -}}
{{- if hasPrefix "https://" .Values.publicUrl -}}
- name: FORWARDED_ALLOW_IPS
  value: "*"
{{- end -}}
{{- end -}}
