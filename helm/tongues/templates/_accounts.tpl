{{/* A ServiceAccount; call with (dict "root" $ "part" "mlflow" "account" VALUES "token" BOOL). */}}
{{- define "tongues.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "tongues.accountName" . }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "tongues.labels" (dict "root" .root "component" .part) | nindent 4 }}
  {{- with .account.annotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
automountServiceAccountToken: {{ .token }}
{{- with .account.secrets }}
secrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
