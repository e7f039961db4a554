{{/* MLflow outside this release, as runs are told of it; empty for the one of this release. */}}
{{- define "tongues.runs.outsideMlflow" -}}
{{- default .Values.follower.registry.trackingUri .Values.pipeline.settings.mlflowTrackingUri -}}
{{- end -}}

{{/* What the ConfigMap of runs holds: the compiled pipelines read these keys. */}}
{{- define "tongues.runs.settings" -}}
{{- $settings := .Values.pipeline.settings -}}
mlflow-tracking-uri: {{ default (include "tongues.ownMlflow" .) (include "tongues.runs.outsideMlflow" .) | quote }}
{{- if .Values.tenant.enabled }}
mlflow-workspace: {{ .Release.Namespace | quote }}
{{- end }}
{{- with .Values.objectStore.endpointUrl }}
s3-endpoint-url: {{ . | quote }}
{{- end }}
s3-region: {{ .Values.objectStore.region | quote }}
log-format: {{ $settings.logFormat | quote }}
{{- with $settings.pushgatewayUrl }}
pushgateway-url: {{ . | quote }}
{{- end }}
{{- end -}}

{{/* Secrets that steps read, each with whether these values want it: none is made by the chart. */}}
{{- define "tongues.runs.wantedSecrets" -}}
tongues-pipeline-mlflow: {{ .Values.pipeline.secrets.mlflow }}
tongues-pipeline-s3: {{ .Values.pipeline.secrets.objectStore }}
tongues-pipeline-engines: false
{{- end -}}
