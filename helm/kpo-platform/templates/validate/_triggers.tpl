{{/* context → errors about additional triggers as JSON */}}
{{- define "kpo-platform.triggerErrors" -}}
{{- $errors := list -}}
{{- $entries := dict -}}
{{- range $index, $trigger := .Values.triggerer.allow -}}
{{- $class := get $trigger "class" -}}
{{- $entry := dict "class" $class "arguments" ($trigger.arguments | default dict) | toJson -}}
{{- if not (regexMatch "^[A-Za-z_][A-Za-z0-9_]*([.][A-Za-z_][A-Za-z0-9_]*)+$" $class) -}}
{{- $errors = append $errors (printf "ERROR: triggerer.allow[%d].class is %s: this is not the full path of a class. Write it as package.module.Class." $index $class) -}}
{{- end -}}
{{- if and (eq $class "airflow.triggers.callback.CallbackTrigger") (not (hasKey ($trigger.arguments | default dict) "callback_path")) -}}
{{- $errors = append $errors (printf "ERROR: triggerer.allow[%d].arguments has no callback_path: this trigger calls any function that a task names. List the paths of the allowed functions in callback_path." $index) -}}
{{- end -}}
{{- if hasKey $entries $entry -}}
{{- $errors = append $errors (printf "ERROR: triggerer.allow[%d] is a duplicate of triggerer.allow[%d]. Remove one of the two." $index (get $entries $entry)) -}}
{{- else -}}
{{- $_ := set $entries $entry $index -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
