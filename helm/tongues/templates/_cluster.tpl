{{/* What a look into the cluster shows. Where there is none (helm template), lookup finds nothing and nothing is said. */}}
{{- define "tongues.clusterProblems" -}}
{{- if lookup "v1" "Namespace" "" .Release.Namespace }}
{{- $keys := .Files.Get "files/run-secrets.yaml" | fromYaml }}
{{- range $value, $name := include "tongues.neededSecrets" . | fromYaml }}
{{- if $name }}
{{- $secret := (lookup "v1" "Secret" $.Release.Namespace $name) }}
{{- if not $secret }}
- {{ $value }} names the Secret {{ $name }}, which is not in namespace {{ $.Release.Namespace }}: create it (helm/tongues/README.md says which keys), or correct {{ $value }}.
{{- else }}
{{- range $key, $_ := index $keys $name }}
{{- if not (hasKey (default dict $secret.data) $key) }}
- {{ $value }} names the Secret {{ $name }}, which has no key {{ $key }}: add it, since steps of runs read it.
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.mlflow.enabled (include "tongues.mlflow.makesClaim" .) (not .Values.mlflow.persistence.storageClass) }}
{{- include "tongues.noDefaultClass" (dict "value" "mlflow.persistence") }}
{{- end }}
{{- if and .Values.follower.enabled (not .Values.follower.workspace.existingClaim) (not .Values.follower.workspace.storageClass) }}
{{- include "tongues.noDefaultClass" (dict "value" "follower.workspace") }}
{{- end }}
{{- with .Values.serving.nodeSelector }}
{{- if $.Values.serving.enabled }}{{ include "tongues.noNode" . }}{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Value that names a Secret, and the name, for the parts that are on. */}}
{{- define "tongues.neededSecrets" -}}
{{- with .Values.mlflow }}
{{- if .enabled }}
mlflow.auth.existingSecret: {{ ternary .auth.existingSecret "" .auth.enabled | quote }}
mlflow.database.existingSecret: {{ ternary .database.existingSecret "" (eq .database.kind "external") | quote }}
mlflow.artifacts.existingSecret: {{ .artifacts.existingSecret | quote }}
{{- end }}
{{- end }}
{{- with .Values.serving }}
{{- if .enabled }}
serving.apiKey.existingSecret: {{ .apiKey.existingSecret | quote }}
{{- range $number, $name := .serviceAccount.secrets }}
serving.serviceAccount.secrets[{{ $number }}]: {{ $name | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.follower }}
{{- if .enabled }}
follower.apiKeys.existingSecret: {{ .apiKeys.existingSecret | quote }}
follower.registry.existingSecret: {{ .registry.existingSecret | quote }}
follower.verification.existingSecret: {{ .verification.existingSecret | quote }}
objectStore.existingSecret: {{ $.Values.objectStore.existingSecret | quote }}
{{- end }}
{{- end }}
{{- if .Values.pipeline.enabled }}
pipeline.secrets.mlflow: {{ ternary "tongues-pipeline-mlflow" "" .Values.pipeline.secrets.mlflow | quote }}
pipeline.secrets.objectStore: {{ ternary "tongues-pipeline-s3" "" .Values.pipeline.secrets.objectStore | quote }}
{{- end }}
{{- if and .Values.gateway.enabled .Values.gateway.className }}
gateway.tls.existingSecret: {{ .Values.gateway.tls.existingSecret | quote }}
{{- end }}
{{- if .Values.autoscaling.enabled }}
autoscaling.prometheus.existingSecret: {{ .Values.autoscaling.prometheus.existingSecret | quote }}
{{- end }}
{{- end -}}

{{- define "tongues.noDefaultClass" -}}
{{- $default := false -}}
{{- range (lookup "storage.k8s.io/v1" "StorageClass" "" "").items }}
{{- if eq "true" (index (default dict .metadata.annotations) "storageclass.kubernetes.io/is-default-class" | default "") }}{{ $default = true }}{{ end }}
{{- end }}
{{- if not $default }}
- {{ .value }}.storageClass is empty, and this cluster has no default storage class: name one of those that `kubectl get storageclass` lists, or a claim in {{ .value }}.existingClaim.
{{- end }}
{{- end -}}

{{/* Call with a node selector. A pool that grows from zero has no node yet: checks.cluster=false then. */}}
{{- define "tongues.noNode" -}}
{{- $wanted := . -}}
{{- $found := false -}}
{{- range (lookup "v1" "Node" "" "").items }}
{{- $labels := default dict .metadata.labels -}}
{{- $fits := true -}}
{{- range $key, $value := $wanted }}
{{- if ne $value (index $labels $key | default "") }}{{ $fits = false }}{{ end }}
{{- end }}
{{- if $fits }}{{ $found = true }}{{ end }}
{{- end }}
{{- if not $found }}
- no node of this cluster has the labels of serving.nodeSelector ({{ $wanted | toJson }}): correct them (kubectl get nodes --show-labels), or set checks.cluster=false where the pool grows from zero.
{{- end }}
{{- end -}}
