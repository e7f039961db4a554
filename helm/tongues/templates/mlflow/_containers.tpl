{{/* The user database's URI is a secret and MLflow takes it from a file only: write it to memory. */}}
{{- define "tongues.mlflow.authConfigContainer" -}}
- name: auth-config
  image: {{ include "tongues.image" (dict "root" . "image" .Values.mlflow.image) }}
  imagePullPolicy: {{ .Values.mlflow.image.pullPolicy }}
  command:
    - python
    - -c
    - |
      {{- .Files.Get "files/write_auth_config.py" | trim | nindent 6 }}
  env:
    - {name: AUTH_CONFIG, value: /auth/basic_auth.ini}
    - {name: DEFAULT_PERMISSION, value: {{ .Values.mlflow.auth.defaultPermission }}}
    {{- with .Values.mlflow.database }}
    {{- if eq .kind "external" }}
    - name: AUTH_DATABASE_URI
      valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .authUriKey }}}}
    {{- else }}
    - {name: AUTH_DATABASE_URI, value: "sqlite:////data/basic_auth.db"}
    {{- end }}
    {{- end }}
  resources:
    requests: {cpu: 10m, memory: 64Mi}
    limits: {cpu: 500m, memory: 128Mi}
  securityContext: {{- include "tongues.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: auth, mountPath: /auth}
{{- end -}}

{{/* MLflow refuses to serve from a database older than itself; a new one is created, a current one left alone. */}}
{{- define "tongues.mlflow.migrationContainer" -}}
- name: migrate
  image: {{ include "tongues.image" (dict "root" . "image" .Values.mlflow.image) }}
  imagePullPolicy: {{ .Values.mlflow.image.pullPolicy }}
  command: [mlflow, db, upgrade, $(MLFLOW_BACKEND_STORE_URI)]
  workingDir: /tmp
  env:
    - {name: HOME, value: /tmp}
    - {name: MLFLOW_DISABLE_TELEMETRY, value: "true"}
    {{- include "tongues.mlflow.databaseEnv" . | nindent 4 }}
  resources: {{- toYaml .Values.mlflow.resources | nindent 4 }}
  securityContext: {{- include "tongues.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    {{- if include "tongues.mlflow.usesVolume" . }}
    - {name: data, mountPath: /data}
    {{- end }}
{{- end -}}

{{- define "tongues.mlflow.container" -}}
- name: mlflow
  image: {{ include "tongues.image" (dict "root" . "image" .Values.mlflow.image) }}
  imagePullPolicy: {{ .Values.mlflow.image.pullPolicy }}
  command: [mlflow, server]
  workingDir: /tmp
  args:
    - --host=0.0.0.0
    - --port=5000
    - --workers={{ .Values.mlflow.workers }}
    {{- if .Values.mlflow.auth.enabled }}
    - --app-name=basic-auth
    {{- end }}
    {{- with .Values.mlflow.uvicornOptions }}
    - {{ printf "--uvicorn-opts=%s" . | quote }}
    {{- end }}
  env: {{- include "tongues.mlflow.env" . | nindent 4 }}
  ports:
    - {name: http, containerPort: 5000, protocol: TCP}
  # The database of its users is migrated by the server itself, before it answers.
  startupProbe: {httpGet: {path: /health, port: http}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 120}
  readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 10, timeoutSeconds: 5}
  livenessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 5}
  resources: {{- toYaml .Values.mlflow.resources | nindent 4 }}
  securityContext: {{- include "tongues.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    {{- if .Values.mlflow.auth.enabled }}
    - {name: auth, mountPath: /auth, readOnly: true}
    {{- end }}
    {{- if include "tongues.mlflow.usesVolume" . }}
    - {name: data, mountPath: /data}
    {{- end }}
{{- end -}}
