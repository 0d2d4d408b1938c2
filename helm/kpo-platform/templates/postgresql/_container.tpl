{{/* context → {file: text} of the database's scripts as JSON; changes of Airflow's scripts must not restart the database */}}
{{- define "kpo-platform.postgresqlScripts" -}}
{{- dict "start.sh" (include "kpo-platform.readFile" (list . "files/postgresql/start.sh")) | toJson -}}
{{- end -}}

{{/* context → the name of the scripts' ConfigMap */}}
{{- define "kpo-platform.postgresqlScriptsConfigMapName" -}}
{{- include "kpo-platform.hashedName" (list . "postgresql-scripts" (include "kpo-platform.postgresqlScripts" .)) -}}
{{- end -}}

{{/* context → the database's container without its name; values.yaml lists the requirements of its image */}}
{{- define "kpo-platform.postgresqlContainer" -}}
image: {{ include "kpo-platform.imageName" (list . "postgresql") }}
imagePullPolicy: {{ .Values.images.postgresql.pullPolicy }}
command: [sh, /opt/kpo-platform/scripts/start.sh]
env:
  - name: PGDATA
    value: /var/lib/postgresql/data/pgdata
securityContext:
  {{- include "kpo-platform.containerSecurityContext" . | nindent 2 }}
ports:
  - name: postgresql
    containerPort: 5432
startupProbe:
  exec:
    command: [pg_isready, --host=127.0.0.1, --quiet]
  periodSeconds: 2
  timeoutSeconds: 10
  failureThreshold: 450
readinessProbe:
  exec:
    command: [pg_isready, --host=127.0.0.1, --quiet]
  periodSeconds: 10
  timeoutSeconds: 10
lifecycle:
  preStop:
    exec:
      {{- /* SIGINT is PostgreSQL's fast shutdown. The kubelet's SIGTERM would wait until every client disconnects. */}}
      command: [sh, -c, kill -INT 1]
resources:
  {{- toYaml .Values.postgresql.resources | nindent 2 }}
volumeMounts:
  - name: data
    mountPath: /var/lib/postgresql/data
  - name: scripts
    mountPath: /opt/kpo-platform/scripts
    readOnly: true
  - name: password
    mountPath: /opt/kpo-platform/password
    readOnly: true
{{- end -}}
