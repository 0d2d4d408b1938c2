{{/* Contradictions between values that the schema cannot express. All errors are reported at once. */}}

{{/* context with .Values.resolvedTeams → nothing; fails for invalid values */}}
{{- define "kpo-platform.validate" -}}
{{- $errors := concat
      (include "kpo-platform.existingAirflowErrors" . | fromJsonArray)
      (include "kpo-platform.databaseErrors" . | fromJsonArray)
      (include "kpo-platform.executorErrors" . | fromJsonArray)
      (include "kpo-platform.configErrors" . | fromJsonArray)
      (include "kpo-platform.authErrors" . | fromJsonArray)
      (include "kpo-platform.metricsErrors" . | fromJsonArray)
      (include "kpo-platform.publicUrlErrors" . | fromJsonArray)
      (include "kpo-platform.dagsErrors" . | fromJsonArray)
      (include "kpo-platform.namespaceErrors" . | fromJsonArray)
      (include "kpo-platform.teamErrors" . | fromJsonArray)
      (include "kpo-platform.volumeErrors" . | fromJsonArray)
      (include "kpo-platform.teamAirflowErrors" . | fromJsonArray)
      (include "kpo-platform.isolationErrors" . | fromJsonArray)
      (include "kpo-platform.triggerErrors" . | fromJsonArray)
      (include "kpo-platform.labelErrors" . | fromJsonArray)
      (include "kpo-platform.quantityErrors" . | fromJsonArray) -}}
{{- if $errors -}}
{{- fail (printf "\n%s\n" (join "\n" $errors)) -}}
{{- end -}}
{{- end -}}
