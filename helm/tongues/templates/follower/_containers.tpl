{{- define "tongues.follower.container" -}}
- name: follower
  image: {{ include "tongues.image" (dict "root" . "image" .Values.image) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [tongues]
  args: {{- include "tongues.follower.arguments" . | nindent 4 }}
  workingDir: /tmp
  env:
    - {name: HOME, value: /tmp}
    - {name: MLFLOW_TRACKING_URI, value: {{ include "tongues.trackingUri" . | quote }}}
    {{- if .Values.tenant.enabled }}
    - {name: MLFLOW_WORKSPACE, value: {{ .Release.Namespace }}}
    {{- end }}
    {{- with .Values.follower.registry.existingSecret }}
    - name: MLFLOW_TRACKING_USERNAME
      valueFrom: {secretKeyRef: {name: {{ . }}, key: MLFLOW_TRACKING_USERNAME}}
    - name: MLFLOW_TRACKING_PASSWORD
      valueFrom: {secretKeyRef: {name: {{ . }}, key: MLFLOW_TRACKING_PASSWORD}}
    {{- end }}
    # The key that its checks send, through the door and to the servers behind it.
    - name: TONGUES_API_KEY
      valueFrom: {secretKeyRef: {name: {{ .Values.follower.apiKeys.existingSecret }}, key: follower-key}}
    {{- include "tongues.objectStoreEnv" . | nindent 4 }}
    {{- with .Values.follower.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - {name: metrics, containerPort: 9090, protocol: TCP}
  startupProbe: {httpGet: {path: /healthz, port: metrics}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 120}
  readinessProbe: {httpGet: {path: /healthz, port: metrics}, periodSeconds: 10, timeoutSeconds: 5}
  livenessProbe: {httpGet: {path: /healthz, port: metrics}, periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 5}
  resources: {{- toYaml .Values.follower.resources | nindent 4 }}
  securityContext: {{- include "tongues.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: workspace, mountPath: /workspace}
    {{- if .Values.follower.verification.existingSecret }}
    - {name: verification, mountPath: /etc/tongues/verification, readOnly: true}
    {{- end }}
{{- end -}}

{{- define "tongues.door.container" -}}
- name: door
  image: {{ include "tongues.image" (dict "root" . "image" .Values.image) }}
  imagePullPolicy: {{ .Values.image.pullPolicy }}
  command: [tongues]
  args: {{- include "tongues.door.arguments" . | nindent 4 }}
  workingDir: /tmp
  env:
    - {name: HOME, value: /tmp}
    {{- with .Values.follower.extraEnv }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  ports:
    - {name: http, containerPort: 8000, protocol: TCP}
  startupProbe: {httpGet: {path: /health, port: http}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 60}
  readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 10, timeoutSeconds: 5}
  livenessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 5}
  resources: {{- toYaml .Values.follower.resources | nindent 4 }}
  securityContext: {{- include "tongues.containerSecurity" . | nindent 4 }}
  volumeMounts:
    - {name: tmp, mountPath: /tmp}
    - {name: workspace, mountPath: /workspace, readOnly: true}
    - {name: keys, mountPath: /keys, readOnly: true}
{{- end -}}

{{- define "tongues.trackingUri" -}}
{{- default (include "tongues.ownMlflow" .) .Values.follower.registry.trackingUri -}}
{{- end -}}

{{/* Address of the MLflow of this release; empty where it has none. */}}
{{- define "tongues.ownMlflow" -}}
{{- if .Values.mlflow.enabled -}}
{{- printf "http://%s-mlflow.%s.svc:%v" (include "tongues.fullname" .) .Release.Namespace .Values.mlflow.service.port -}}
{{- end -}}
{{- end -}}

{{/* Where the object store is, and with whose keys. */}}
{{- define "tongues.objectStoreEnv" -}}
{{- with .Values.objectStore -}}
- {name: AWS_DEFAULT_REGION, value: {{ .region | quote }}}
{{- with .endpointUrl }}
- {name: AWS_ENDPOINT_URL_S3, value: {{ . | quote }}}
{{- end }}
{{- with .existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_ACCESS_KEY_ID}}
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: AWS_SECRET_ACCESS_KEY}}
{{- end }}
{{- end -}}
{{- end -}}

{{/* Claim with adapters and state, which served models of the adapter runtime read as well. */}}
{{- define "tongues.follower.claim" -}}
{{- default (printf "%s-follower" (include "tongues.fullname" .)) .Values.follower.workspace.existingClaim -}}
{{- end -}}
