{{/* Volumes of the processes that import the package: package, contract and pod templates. */}}

{{/* context → the mounts of a container that imports the package */}}
{{- define "kpo-platform.codeMounts" -}}
{{- if include "kpo-platform.hasCodeConfigMap" . -}}
- name: python
  mountPath: /opt/kpo-platform/python
  readOnly: true
{{ end -}}
- name: contract
  mountPath: /opt/kpo-platform/contract
  readOnly: true
- name: pod-templates
  mountPath: /opt/kpo-platform/pod_templates
  readOnly: true
- name: sidecars
  mountPath: /opt/kpo-platform/sidecars
  readOnly: true
{{- end -}}

{{/* context → the volumes of the mounts above */}}
{{- define "kpo-platform.codeVolumes" -}}
{{- if include "kpo-platform.hasCodeConfigMap" . }}
- name: python
  projected:
    sources:
      {{- range include "kpo-platform.cached" (list . "kpo-platform.codeParts") | fromJsonArray }}
      - configMap:
          name: {{ .name }}
          items:
            {{- range $path, $_ := .files }}
            - key: {{ include "kpo-platform.codeKey" $path }}
              path: {{ $path }}
            {{- end }}
      {{- end }}
{{- end }}
{{- range list "contract" "pod-templates" "sidecars" }}
- name: {{ . }}
  configMap:
    name: {{ include "kpo-platform.name" (list $ .) }}
{{- end }}
{{- end -}}
