{{/* The token of a pod's account, for the one container that speaks to Kubernetes. Left to Kubernetes, it is in every container of
the pod: a sidecar could then start pods for the teams. */}}

{{/* anything → the volume with it, as Kubernetes itself makes it; but it ends after an hour, and the kubelet renews it before */}}
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

{{/* anything → where every client looks for it */}}
{{- define "kpo-platform.tokenMount" -}}
- name: token
  mountPath: /var/run/secrets/kubernetes.io/serviceaccount
  readOnly: true
{{- end -}}
