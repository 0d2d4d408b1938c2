{{/* The part of the Python package that runs in Airflow's pods, mounted into the unmodified image from ConfigMaps. */}}

{{/* context → "true" if the package comes from a ConfigMap; otherwise the image contains it */}}
{{- define "kpo-platform.hasCodeConfigMap" -}}
{{- if eq .Values.platform.package "configmap" -}}true{{- end -}}
{{- end -}}

{{/* context → {path below PYTHONPATH: text} as JSON. The dist-info folder makes the package an installed distribution, with a
version and with entry points for Airflow's plugin, cluster policy and provider. */}}
{{- define "kpo-platform.codeFiles" -}}
{{- $files := dict -}}
{{- $code := .Subcharts.code -}}
{{- $_ := include "kpo-platform.readFile" (list $code "files/kpo_platform/__init__.py") -}}
{{- range list "*.py" "{airflow,contract,diagnosis,operator,pod}/**.py" -}}
{{- range $path, $_ := $code.Files.Glob (printf "files/kpo_platform/%s" .) -}}
{{- $_ := set $files (trimPrefix "files/" $path) ($code.Files.Get $path) -}}
{{- end -}}
{{- end -}}
{{- $distInfo := printf "kpo_platform-%s.dist-info" .Chart.Version -}}
{{- $_ := set $files (printf "%s/METADATA" $distInfo) (printf "Metadata-Version: 2.1\nName: %s\nVersion: %s\n" .Chart.Name .Chart.Version) -}}
{{- $_ := set $files (printf "%s/entry_points.txt" $distInfo) (include "kpo-platform.entryPoints" .) -}}
{{- toJson $files -}}
{{- end -}}

{{/* nothing → the entry points of the package, as in pyproject.toml */}}
{{- define "kpo-platform.entryPoints" -}}
[airflow.plugins]
kpo_platform = kpo_platform.airflow.plugins.reload_settings:ReloadSettingsPlugin
[airflow.policy]
kpo_platform = kpo_platform.airflow.policies.cluster_policy
[apache_airflow_provider]
kpo_platform = kpo_platform.airflow.provider_info:get_provider_info
{{ end -}}

{{/* path → the ConfigMap key of a file; keys cannot contain slashes */}}
{{- define "kpo-platform.codeKey" -}}
{{- replace "/" "." . -}}
{{- end -}}
