{{/* context → the API server's environment for OIDC login */}}
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

{{/* context → the mount of the OIDC client secret */}}
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
