{{/* Worker pods, which run tasks only and have no database access. */}}

{{/* context → the first fields of a worker's pod spec */}}
{{- define "kpo-platform.workerPodSpec" -}}
serviceAccountName: {{ include "kpo-platform.name" (list . "worker") }}
automountServiceAccountToken: false
terminationGracePeriodSeconds: {{ .Values.workers.terminationGracePeriodSeconds }}
{{ include "kpo-platform.airflowPodSpec" . }}
{{- include "kpo-platform.placement" .Values.workers }}
{{- end -}}

{{/* context → the environment of a worker */}}
{{- define "kpo-platform.workerEnv" -}}
{{ include "kpo-platform.processEnv" . }}
{{ include "kpo-platform.codeEnv" . }}
{{- include "kpo-platform.taskEnv" (list . "worker") }}
{{- end -}}

{{/* context → the pod template of KubernetesExecutor, which adds the command */}}
{{- define "kpo-platform.taskPodManifest" -}}
apiVersion: v1
kind: Pod
metadata:
  labels:
    {{- include "kpo-platform.labels" (list . "worker") | nindent 4 }}
spec:
  restartPolicy: Never
  {{- include "kpo-platform.workerPodSpec" . | nindent 2 }}
  {{- with include "kpo-platform.gitSyncContainer" . }}
  initContainers:
    # Sync once: a task does not see commits that are newer than its start.
    - {{ omit (fromYamlArray . | first) "restartPolicy" "startupProbe" "ports" | toYaml | nindent 6 | trim }}
      args: [--one-time]
  {{- end }}
  containers:
    - name: base
      {{- include "kpo-platform.airflowContainerFields" . | nindent 6 }}
      env:
        {{- include "kpo-platform.workerEnv" . | nindent 8 }}
      resources:
        {{- toYaml .Values.workers.resources | nindent 8 }}
      volumeMounts:
        {{- include "kpo-platform.taskMounts" . | nindent 8 }}
        {{- include "kpo-platform.tokenMount" . | nindent 8 }}
  volumes:
    {{- include "kpo-platform.taskVolumes" . | nindent 4 }}
    {{- include "kpo-platform.tokenVolume" . | nindent 4 }}
    {{- if not .Values.logs.persistence.existingClaim }}
    - name: logs
      emptyDir: {}
    {{- end }}
{{- end -}}
