{{/* A vLLM runtime; call with (dict "root" $ "suffix" .. "folder" .. "args" [..] "env" [..] "followed" BOOL). */}}
{{- define "tongues.servingRuntime" -}}
{{- $serving := .root.Values.serving -}}
{{- $scope := dict "root" .root "component" "serving" -}}
apiVersion: serving.kserve.io/v1alpha1
kind: ServingRuntime
metadata:
  name: {{ include "tongues.fullname" .root }}-{{ .suffix }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "tongues.labels" $scope | nindent 4 }}
spec:
  annotations:
    prometheus.kserve.io/port: "8080"
    prometheus.kserve.io/path: /metrics
    {{- with $serving.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  # Served pods carry the release's labels, so that its network policies hold for them.
  labels: {{- include "tongues.podLabels" $scope | nindent 4 }}
  supportedModelFormats:
    - {name: vLLM, version: "1", autoSelect: false}
  multiModel: false
  {{- with .root.Values.imagePullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    {{- include "tongues.servingContainer" . | nindent 4 }}
  volumes:
    - {name: shm, emptyDir: {medium: Memory, sizeLimit: {{ $serving.sharedMemory }}}}
    - {name: tmp, emptyDir: {sizeLimit: {{ $serving.scratch }}}}
    {{- if .followed }}
    - {name: workspace, persistentVolumeClaim: {claimName: {{ include "tongues.follower.claim" .root }}, readOnly: true}}
    {{- end }}
  {{- with $serving.nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $serving.tolerations }}
  tolerations: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $serving.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "tongues.servingContainer" -}}
{{- $serving := .root.Values.serving -}}
{{- $image := ternary $serving.gpuImage $serving.cpuImage (eq $serving.device "gpu") -}}
- name: kserve-container
  image: {{ include "tongues.image" (dict "root" .root "image" $image) }}
  imagePullPolicy: {{ $image.pullPolicy }}
  command: [vllm, serve, {{ .folder }}]
  # KServe fills in the name of the InferenceService and appends the arguments given there.
  args:
    - --port=8080
    - {{ "--served-model-name={{.Name}}" | quote }}
    {{- if gt (int $serving.maxModelTokens) 0 }}
    - --max-model-len={{ $serving.maxModelTokens }}
    {{- end }}
    {{- if and (eq $serving.device "gpu") (gt (int $serving.gpu.count) 1) }}
    - --tensor-parallel-size={{ $serving.gpu.count }}
    {{- end }}
    {{- range .args }}
    - {{ . | quote }}
    {{- end }}
  env:
    {{- include "tongues.servingEnv" . | nindent 4 }}
  ports:
    - {name: http1, containerPort: 8080, protocol: TCP}
  # /health answers once the weights are loaded, and needs no API key.
  startupProbe: {httpGet: {path: /health, port: 8080}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: {{ mul $serving.startupMinutes 6 }}}
  readinessProbe: {httpGet: {path: /health, port: 8080}, periodSeconds: 10, timeoutSeconds: 5}
  livenessProbe: {httpGet: {path: /health, port: 8080}, periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 5}
  resources: {{- include "tongues.servingResources" $serving | nindent 4 }}
  # All of the restricted profile stands here: a ServingRuntime has no pod-level security context.
  securityContext:
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    readOnlyRootFilesystem: {{ $serving.readOnlyRootFilesystem }}
    runAsNonRoot: true
    {{- with $serving.runAsUser }}
    runAsUser: {{ . }}
    {{- end }}
    seccompProfile: {type: RuntimeDefault}
  volumeMounts:
    - {name: shm, mountPath: /dev/shm}
    - {name: tmp, mountPath: /tmp}
    {{- if .followed }}
    # Where the follower finds them too: it names an adapter to vLLM by its path.
    - {name: workspace, mountPath: /workspace, readOnly: true}
    {{- end }}
{{- end -}}

{{- define "tongues.servingEnv" -}}
{{- $serving := .root.Values.serving -}}
# Caches go to the scratch disk; USER spares libraries a look-up that fails for an unknown user id.
- {name: HOME, value: /tmp}
- {name: USER, value: vllm}
- {name: HF_HUB_OFFLINE, value: "1"}
- {name: VLLM_NO_USAGE_STATS, value: "1"}
{{- if eq $serving.device "cpu" }}
- {name: VLLM_CPU_KVCACHE_SPACE, value: {{ $serving.cpuKvCacheGib | quote }}}
{{- end }}
{{- range .env }}
- {{ toYaml . | nindent 2 | trim }}
{{- end }}
{{- with $serving.apiKey.existingSecret }}
- name: VLLM_API_KEY
  valueFrom: {secretKeyRef: {name: {{ . }}, key: {{ $serving.apiKey.key }}}}
{{- end }}
{{- end -}}

{{/* The resources of values, with the accelerators added where there are any; call with .Values.serving. */}}
{{- define "tongues.servingResources" -}}
{{- $resources := deepCopy .resources -}}
{{- if eq .device "gpu" -}}
{{- $gpu := dict .gpu.resource (toString .gpu.count) -}}
{{- $resources = mergeOverwrite (dict "requests" (dict) "limits" (dict)) $resources (dict "requests" $gpu "limits" (deepCopy $gpu)) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}
