{{/* context → {file: text} of the broker's scripts as JSON */}}
{{- define "kpo-platform.redisScripts" -}}
{{- dict "start.sh" (include "kpo-platform.readFile" (list . "files/redis/start.sh")) | toJson -}}
{{- end -}}

{{/* context → the name of the scripts' ConfigMap */}}
{{- define "kpo-platform.redisScriptsConfigMapName" -}}
{{- include "kpo-platform.hashedName" (list . "redis-scripts" (include "kpo-platform.redisScripts" .)) -}}
{{- end -}}

{{/* context → the broker's container without its name; values.yaml lists the requirements of its image */}}
{{- define "kpo-platform.redisContainer" -}}
image: {{ include "kpo-platform.imageName" (list . "redis") }}
imagePullPolicy: {{ .Values.images.redis.pullPolicy }}
command: [sh, /opt/kpo-platform/scripts/start.sh]
securityContext:
  {{- include "kpo-platform.containerSecurityContext" . | nindent 2 }}
ports:
  - name: redis
    containerPort: 6379
startupProbe:
  tcpSocket:
    port: redis
  periodSeconds: 2
  timeoutSeconds: 10
  failureThreshold: 450
readinessProbe:
  tcpSocket:
    port: redis
  periodSeconds: 5
  timeoutSeconds: 10
resources:
  {{- toYaml .Values.redis.resources | nindent 2 }}
volumeMounts:
  - name: data
    mountPath: /data
  - name: scripts
    mountPath: /opt/kpo-platform/scripts
    readOnly: true
  - name: password
    mountPath: /opt/kpo-platform/password
    readOnly: true
{{- end -}}
