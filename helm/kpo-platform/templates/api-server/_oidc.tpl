{{/* context → the API server's settings for sign-in by a provider */}}
{{- define "kpo-platform.oidcEnv" -}}
{{- if .Values.oidc.issuer -}}
- name: AIRFLOW__FAB__CONFIG_FILE
  value: /opt/kpo-platform/scripts/webserver_config.py
- name: KPO_PLATFORM_OIDC
  value: {{ omit .Values.oidc "clientSecretName" | toJson | quote }}
- name: KPO_PLATFORM_OIDC_SECRET
  value: /opt/kpo-platform/oidc/client-secret
{{- end -}}
{{- end -}}

{{/* context → where the API server finds its secret at the provider */}}
{{- define "kpo-platform.oidcMounts" -}}
{{- if .Values.oidc.issuer -}}
- name: oidc
  mountPath: /opt/kpo-platform/oidc
  readOnly: true
{{- end -}}
{{- end -}}

{{/* context → the volume of the mount above */}}
{{- define "kpo-platform.oidcVolumes" -}}
{{- if .Values.oidc.issuer -}}
- name: oidc
  secret:
    secretName: {{ .Values.oidc.clientSecretName | quote }}
    items: [{key: client-secret, path: client-secret}]
{{- end -}}
{{- end -}}
