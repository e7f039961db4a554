{{- define "tongues.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Prefix of every object name; 40 characters leave room for the longest suffix within 63. */}}
{{- define "tongues.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "tongues.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "tongues.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* The only labels that enter selectors: they must never change. */}}
{{- define "tongues.releaseSelector" -}}
app.kubernetes.io/name: {{ include "tongues.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Call with (dict "root" $ "component" "mlflow"). */}}
{{- define "tongues.selector" -}}
{{ include "tongues.releaseSelector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "tongues.labels" -}}
{{ include "tongues.selector" . }}
app.kubernetes.io/part-of: tongues
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of a pod: without the chart version, which would restart it on every upgrade. */}}
{{- define "tongues.podLabels" -}}
{{ include "tongues.selector" . }}
app.kubernetes.io/part-of: tongues
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Call with (dict "root" $ "image" .Values.mlflow.image): digest before tag, mirror before registry. */}}
{{- define "tongues.image" -}}
{{- $name := printf "%s/%s" (default .image.registry .root.Values.imageRegistry) .image.repository -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name .image.tag -}}
{{- end -}}
{{- end -}}

{{/* Call with (dict "root" $ "part" "mlflow" "account" .Values.mlflow.serviceAccount). */}}
{{- define "tongues.accountName" -}}
{{- $own := printf "%s-%s" (include "tongues.fullname" .root) .part -}}
{{- if .account.create -}}
{{- default $own .account.name -}}
{{- else -}}
{{- default "default" .account.name -}}
{{- end -}}
{{- end -}}
