{{/* context → the API server's container without its name */}}
{{- define "kpo-platform.apiServerContainer" -}}
{{ include "kpo-platform.airflowContainerFields" . }}
args: [airflow, api-server{{ include "kpo-platform.proxyArguments" . }}]
env:
  {{- include "kpo-platform.airflowEnv" . | nindent 2 }}
  {{- include "kpo-platform.jwtEnv" . | nindent 2 }}
  {{- include "kpo-platform.apiSecretEnv" . | nindent 2 }}
  {{- include "kpo-platform.proxyEnv" . | nindent 2 }}
  {{- include "kpo-platform.oidcEnv" . | nindent 2 }}
  # The API server imports each team's bundle class to build links to the repository.
  {{- include "kpo-platform.codeEnv" . | nindent 2 }}
ports:
  - name: api-server
    containerPort: 8080
{{- include "kpo-platform.apiServerProbes" . | nindent 0 }}
lifecycle:
  preStop:
    exec:
      # Serve requests until all nodes have removed the endpoint.
      command: [sleep, "10"]
resources:
  {{- toYaml .Values.apiServer.resources | nindent 2 }}
volumeMounts:
  {{- include "kpo-platform.airflowMounts" . | nindent 2 }}
  {{- include "kpo-platform.codeMounts" . | nindent 2 }}
  {{- include "kpo-platform.oidcMounts" . | nindent 2 }}
  {{- if .Values.logs.persistence.existingClaim }}
  {{- include "kpo-platform.logMount" . | nindent 2 }}
  {{- end }}
{{- end -}}
