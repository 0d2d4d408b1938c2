{{/* context → errors about `config` as JSON: settings for which the chart has its own value, and secrets */}}
{{- define "kpo-platform.configErrors" -}}
{{- $errors := list -}}
{{- with (get .Values.config "core" | default dict).executor -}}
{{- $errors = append $errors (printf "ERROR: config.core.executor is %s: the chart would not install the components of this executor. Set executor instead." .) -}}
{{- end -}}
{{- $secrets := dict
      "core.fernet_key" "fernetKeySecretName"
      "api_auth.jwt_secret" "jwtSecretName"
      "api.secret_key" "apiSecretKeySecretName"
      "database.sql_alchemy_conn" "data.metadataSecretName"
      "celery.broker_url" "data.brokerUrlSecretName" -}}
{{- range $setting, $valueName := $secrets -}}
{{- $path := splitList "." $setting -}}
{{- if get (get $.Values.config (first $path) | default dict) (last $path) -}}
{{- $errors = append $errors (printf "ERROR: config.%s contains a secret: everyone who can read the release would see it. Put the value into a Secret and name the Secret in %s." $setting $valueName) -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
