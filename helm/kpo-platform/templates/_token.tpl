{{/* The service account token, mounted only into the container that uses the Kubernetes API. With automount, every sidecar
could start pods for the teams. */}}

{{/* nothing → the token volume, as Kubernetes mounts it, but with a lifetime of one hour; the kubelet renews the token */}}
{{- define "kpo-platform.tokenVolume" -}}
- name: token
  projected:
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3600}
      - configMap:
          name: kube-root-ca.crt
          items: [{key: ca.crt, path: ca.crt}]
      - downwardAPI:
          items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]
{{- end -}}

{{/* nothing → the token mount, at the path that every client reads */}}
{{- define "kpo-platform.tokenMount" -}}
- name: token
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end -}}
