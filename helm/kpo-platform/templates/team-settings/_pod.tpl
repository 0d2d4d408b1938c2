{{/* context → the pod that writes the teams' roles, pools and connections to Airflow's database */}}
{{- define "kpo-platform.teamSettingsPodSpec" -}}
{{- $secrets := include "kpo-platform.gitConnections" . | fromJson | values | uniq | sortAlpha -}}
serviceAccountName: {{ include "kpo-platform.name" (list . "team-settings") }}
automountServiceAccountToken: false
restartPolicy: Never
{{ include "kpo-platform.airflowPodSpec" . }}
initContainers:
  {{- include "kpo-platform.waitForMigrationsContainer" (list . .Values.teamSettingsJob.resources) | nindent 2 }}
containers:
  - name: team-settings
    {{- include "kpo-platform.airflowContainerFields" . | nindent 4 }}
    args: [python, /opt/kpo-platform/scripts/team_settings.py]
    terminationMessagePolicy: FallbackToLogsOnError
    env:
      {{- include "kpo-platform.airflowEnv" . | nindent 6 }}
    resources:
      {{- toYaml .Values.teamSettingsJob.resources | nindent 6 }}
    volumeMounts:
      {{- include "kpo-platform.airflowMounts" . | nindent 6 }}
      - {name: settings, mountPath: /opt/kpo-platform/team-settings, readOnly: true}
      {{- range $index, $secret := $secrets }}
      - {name: credentials-{{ $index }}, mountPath: /opt/kpo-platform/credentials/{{ $secret }}, readOnly: true}
      {{- end }}
volumes:
  {{- include "kpo-platform.airflowVolumes" . | nindent 2 }}
  - name: settings
    configMap:
      name: {{ include "kpo-platform.teamSettingsConfigMapName" . }}
  {{- range $index, $secret := $secrets }}
  # A missing Secret must not block the settings of the other teams; the Job reports it.
  - name: credentials-{{ $index }}
    secret: {secretName: {{ $secret | quote }}, optional: true}
  {{- end }}
{{- end -}}
