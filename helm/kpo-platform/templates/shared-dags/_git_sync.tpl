{{/* context → "true" if the shared repository uses ssh */}}
{{- define "kpo-platform.gitSyncUsesSsh" -}}
{{- if regexMatch "^(ssh://|[^/:]+@)" .Values.dags.gitSync.repo -}}true{{- end -}}
{{- end -}}

{{/* context → the git-sync sidecar (version 4); Airflow starts after the first sync */}}
{{- define "kpo-platform.gitSyncContainer" -}}
{{- if .Values.dags.gitSync.enabled -}}
{{- $sync := .Values.dags.gitSync -}}
- name: git-sync
  image: {{ include "kpo-platform.imageName" (list . "gitSync") }}
  imagePullPolicy: {{ .Values.images.gitSync.pullPolicy }}
  restartPolicy: Always
  securityContext:
    {{- include "kpo-platform.containerSecurityContext" . | nindent 4 }}
    # The image's own user: ssh requires a user with a name.
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
