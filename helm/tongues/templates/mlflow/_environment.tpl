{{/* Environment of the server: where it stores, whom it answers, and what stays switched off. */}}
{{- define "tongues.mlflow.env" -}}
- {name: HOME, value: /tmp}
- {name: MLFLOW_SERVER_ALLOWED_HOSTS, value: {{ include "tongues.mlflow.allowedHosts" . | quote }}}
{{- with .Values.mlflow.corsAllowedOrigins }}
- {name: MLFLOW_SERVER_CORS_ALLOWED_ORIGINS, value: {{ join "," . | quote }}}
{{- end }}
- {name: MLFLOW_SERVER_X_FRAME_OPTIONS, value: SAMEORIGIN}
- {name: MLFLOW_ENABLE_AI_GATEWAY, value: "false"}
- {name: MLFLOW_SERVER_ENABLE_JOB_EXECUTION, value: "false"}
- {name: MLFLOW_ALLOW_PICKLE_DESERIALIZATION, value: "false"}
- {name: MLFLOW_DISABLE_TELEMETRY, value: "true"}
{{ include "tongues.mlflow.databaseEnv" . }}
{{ include "tongues.mlflow.artifactEnv" . }}
{{- if .Values.mlflow.auth.enabled }}
{{ include "tongues.mlflow.authEnv" . }}
{{- end }}
{{- with .Values.mlflow.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "tongues.mlflow.databaseEnv" -}}
{{- with .Values.mlflow.database -}}
{{- if eq .kind "external" -}}
- name: MLFLOW_BACKEND_STORE_URI
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .uriKey }}}}
{{- else -}}
- {name: MLFLOW_BACKEND_STORE_URI, value: "sqlite:////data/mlflow.db"}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "tongues.mlflow.artifactEnv" -}}
{{- with .Values.mlflow.artifacts -}}
- {name: MLFLOW_ARTIFACTS_DESTINATION, value: {{ default "/data/artifacts" .destination | quote }}}
{{- if .destination }}
- {name: AWS_DEFAULT_REGION, value: {{ .region | quote }}}
{{- with .endpointUrl }}
- {name: MLFLOW_S3_ENDPOINT_URL, value: {{ . | quote }}}
{{- end }}
{{- with .existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_ACCESS_KEY_ID}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_SECRET_ACCESS_KEY}}
{{- end }}
{{- end }}
{{- end -}}
{{- end -}}

{{- define "tongues.mlflow.authEnv" -}}
{{- with .Values.mlflow.auth -}}
- {name: MLFLOW_AUTH_CONFIG_PATH, value: /auth/basic_auth.ini}
- {name: MLFLOW_AUTH_ADMIN_USERNAME, value: {{ .adminUsername | quote }}}
- name: MLFLOW_AUTH_ADMIN_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: admin-password}}
- name: MLFLOW_FLASK_SERVER_SECRET_KEY
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: flask-secret-key}}
{{- end -}}
{{- end -}}
