{{/* Where the DAGs of all teams come from, as far as values can contradict each other. */}}

{{/* context → refusals about the shared DAGs, as JSON */}}
{{- define "kpo-platform.dagsErrors" -}}
{{- $errors := list -}}
{{- $sync := .Values.dags.gitSync -}}
{{- if and $sync.enabled .Values.dags.persistence.existingClaim -}}
{{- $errors = append $errors "ERROR: dags.gitSync.enabled is true and dags.persistence.existingClaim names a volume, but shared DAGs come from one place; leave one of them out." -}}
{{- end -}}
{{- if and $sync.enabled (not $sync.repo) -}}
{{- $errors = append $errors "ERROR: dags.gitSync.enabled is true and dags.gitSync.repo is empty, so there is nothing to follow; name the repository." -}}
{{- end -}}
{{- if regexMatch "^[a-z+]+://[^/@]*:[^/@]*@" $sync.repo -}}
{{- $errors = append $errors "ERROR: dags.gitSync.repo has a password in it, which everybody who reads the release would see; put it into a Secret and name that in dags.gitSync.credentialsSecret." -}}
{{- end -}}
{{- if and $sync.enabled $sync.credentialsSecret (hasPrefix "git://" $sync.repo) -}}
{{- $errors = append $errors (printf "ERROR: dags.gitSync.credentialsSecret is %s, but a git:// repository takes no credentials; give dags.gitSync.repo by https or ssh, or leave the secret out." $sync.credentialsSecret) -}}
{{- end -}}
{{- if and $sync.enabled (include "kpo-platform.isRepositoryUrl" $sync.repo) (include "kpo-platform.gitSyncUsesSsh" .) (not $sync.credentialsSecret) -}}
{{- $errors = append $errors "ERROR: dags.gitSync.repo is reached by ssh and dags.gitSync.credentialsSecret is empty, so there is no key to open it; name a Secret with ssh-privatekey and known_hosts, or give the repository by https." -}}
{{- end -}}
{{- if not (include "kpo-platform.isRepositoryUrl" $sync.repo) -}}
{{- $errors = append $errors (printf "ERROR: dags.gitSync.repo is %s, which says no way to it; write https://HOST/PATH or git@HOST:PATH." $sync.repo) -}}
{{- end -}}
{{- if hasKey .Values.teams "shared-dags" -}}
{{- if include "kpo-platform.sharedDagsFolder" . -}}
{{- $errors = append $errors "ERROR: teams.shared-dags has the name under which Airflow keeps the shared DAGs; rename the team." -}}
{{- end -}}
{{- end -}}
{{- toJson $errors -}}
{{- end -}}
