{{/* Names of images, and the images to mirror for a cluster without internet access, listed in NOTES.txt. */}}

{{/* (list context key) → the full image name of images.<key>; images.registryPrefix replaces its registry, and
     airflow without a tag has the appVersion */}}
{{- define "kpo-platform.imageName" -}}
{{- $images := (first .).Values.images -}}
{{- $image := get $images (last .) -}}
{{- $repository := $image.repository -}}
{{- with $images.registryPrefix -}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^([^/]*[.:][^/]*|localhost)/" $repository "") -}}
{{- end -}}
{{- $tag := $image.tag -}}
{{- if eq (last .) "airflow" -}}{{- $tag = $tag | default (first .).Chart.AppVersion -}}{{- end -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository $tag -}}
{{- end -}}
{{- end -}}

{{/* context → the images of the release's own pods as JSON */}}
{{- define "kpo-platform.releaseImages" -}}
{{- $names := list -}}
{{- if or .Values.airflow.enabled (include "kpo-platform.hasPodCleanup" .) (include "kpo-platform.testAccount" .) -}}
{{- $names = append $names "airflow" -}}
{{- end -}}
{{- if and .Values.airflow.enabled .Values.postgresql.enabled -}}{{- $names = append $names "postgresql" -}}{{- end -}}
{{- if include "kpo-platform.hasBroker" . -}}{{- $names = append $names "redis" -}}{{- end -}}
{{- $names = append $names "xcomSidecar" -}}
{{- if and .Values.airflow.enabled .Values.dags.gitSync.enabled -}}{{- $names = append $names "gitSync" -}}{{- end -}}
{{- if and .Values.airflow.enabled .Values.statsd.enabled -}}{{- $names = append $names "statsd" -}}{{- end -}}
{{- $images := list -}}
{{- range $names -}}
{{- $images = append $images (include "kpo-platform.imageName" (list $ .)) -}}
{{- end -}}
{{- toJson $images -}}
{{- end -}}

{{/* context → the images of pod templates and sidecars as JSON; names without registry get each team's registryPrefix */}}
{{- define "kpo-platform.templateImages" -}}
{{- include "kpo-platform.resolveTeams" . -}}
{{- $prefixes := list -}}
{{- range .Values.resolvedTeams -}}
{{- $prefixes = append $prefixes (.images.registryPrefix | trimSuffix "/") -}}
{{- end -}}
{{- $images := list -}}
{{- range $pattern := include "kpo-platform.templateFilePatterns" . | fromJson | values -}}
{{- range $pod := include "kpo-platform.readYamlFiles" (list $ $pattern) | fromJson -}}
{{- range $container := concat ($pod.spec.initContainers | default list) ($pod.spec.containers | default list) -}}
{{- with $container.image -}}
{{- $own := or (not $prefixes) (regexMatch "^([^/]*[.:][^/]*|localhost)/" .) -}}
{{- range ternary (list "") $prefixes $own -}}
{{- $images = append $images (list . $container.image | compact | join "/") -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $images | uniq | sortAlpha | toJson -}}
{{- end -}}
