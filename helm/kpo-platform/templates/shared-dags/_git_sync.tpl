{{/* context → something, where the shared repository is reached by ssh */}}
{{- define "kpo-platform.gitSyncUsesSsh" -}}
{{- if regexMatch "^(ssh://|[^/:]+@)" .Values.dags.gitSync.repo -}}true{{- end -}}
{{- end -}}

{{/* context → the sidecar that follows the shared repository; Airflow starts after its first copy. Only variables of version 4. */}}
{{- define "kpo-platform.gitSyncContainer" -}}
{{- if .Values.dags.gitSync.enabled -}}
{{- $sync := .Values.dags.gitSync -}}
- name: git-sync
  image: {{ include "kpo-platform.imageName" (list . "gitSync") }}
  imagePullPolicy: {{ .Values.images.gitSync.pullPolicy }}
  restartPolicy: Always
  securityContext:
    {{- include "kpo-platform.containerSecurityContext" . | nindent 4 }}
    # The image's own account: ssh wants one with a name.
    runAsUser: 65533
  env:
    - {name: GITSYNC_REPO, value: {{ $sync.repo | quote }}}
    - {name: GITSYNC_REF, value: {{ $sync.ref | quote }}}
    - {name: GITSYNC_ROOT, value: /git}
    - {name: GITSYNC_LINK, value: repo}
    - {name: GITSYNC_PERIOD, value: {{ $sync.period | quote }}}
    - {name: GITSYNC_HTTP_BIND, value: ":1234"}
    {{- with $sync.credentialsSecret }}
    {{- if include "kpo-platform.gitSyncUsesSsh" $ }}
    - {name: GITSYNC_SSH_KEY_FILE, value: /etc/git-secret/ssh-privatekey}
    - {name: GITSYNC_SSH_KNOWN_HOSTS_FILE, value: /etc/git-secret/known_hosts}
    {{- else }}
    - name: GITSYNC_USERNAME
      valueFrom:
        secretKeyRef: {name: {{ . | quote }}, key: username}
    - {name: GITSYNC_PASSWORD_FILE, value: /etc/git-secret/password}
    {{- end }}
    {{- end }}
  ports:
    - {name: git-sync, containerPort: 1234}
  startupProbe:
    httpGet: {path: /, port: git-sync}
    periodSeconds: 2
    failureThreshold: 300
  resources:
    {{- toYaml $sync.resources | nindent 4 }}
  volumeMounts:
    - {name: shared-dags, mountPath: /git}
    - {name: git-sync-tmp, mountPath: /tmp}
    {{- if $sync.credentialsSecret }}
    - {name: git-secret, mountPath: /etc/git-secret, readOnly: true}
    {{- end }}
{{- end -}}
{{- end -}}
