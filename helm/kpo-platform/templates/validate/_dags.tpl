{{/* context → errors about the shared DAGs as JSON */}}
{{- define "kpo-platform.dagsErrors" -}}
{{- $errors := list -}}
{{- $sync := .Values.dags.gitSync -}}
{{- if and $sync.enabled .Values.dags.persistence.existingClaim -}}
{{- $errors = append $errors "ERROR: dags.gitSync.enabled is true: dags.persistence.existingClaim is set too, but shared DAGs have one source. Remove one of the two." -}}
{{- end -}}
{{- if and $sync.enabled (not $sync.repo) -}}
{{- $errors = append $errors "ERROR: dags.gitSync.enabled is true: dags.gitSync.repo is empty. Set the URL of the repository." -}}
{{- end -}}
{{- if regexMatch "^[a-z+]+://[^/@]*:[^/@]*@" $sync.repo -}}
{{- $errors = append $errors "ERROR: dags.gitSync.repo contains a password: everyone who can read the release would see it. Put the password into a Secret and name the Secret in dags.gitSync.credentialsSecret." -}}
{{- end -}}
{{- if and $sync.enabled $sync.credentialsSecret (hasPrefix "git://" $sync.repo) -}}
{{- $errors = append $errors (printf "ERROR: dags.gitSync.credentialsSecret is %s: the git:// protocol does not support credentials. Use https or ssh in dags.gitSync.repo, or remove the Secret." $sync.credentialsSecret) -}}
{{- end -}}
{{- if and $sync.enabled (include "kpo-platform.isRepositoryUrl" $sync.repo) (include "kpo-platform.gitSyncUsesSsh" .) (not $sync.credentialsSecret) -}}
{{- $errors = append $errors "ERROR: dags.gitSync.credentialsSecret is empty: dags.gitSync.repo uses ssh, which requires a private key. Name a Secret with the keys ssh-privatekey and known_hosts, or use https." -}}
{{- end -}}
{{- if not (include "kpo-platform.isRepositoryUrl" $sync.repo) -}}
{{- $errors = append $errors (printf "ERROR: dags.gitSync.repo is %s: git cannot clone from this address. Use https://HOST/PATH or git@HOST:PATH." $sync.repo) -}}
{{- end -}}
{{- if hasKey .Values.teams "shared-dags" -}}
{{- if include "kpo-platform.sharedDagsFolder" . -}}
{{- $errors = append $errors "ERROR: teams.shared-dags has a reserved name: the bundle of the shared DAGs is called shared-dags. Rename the team." -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
