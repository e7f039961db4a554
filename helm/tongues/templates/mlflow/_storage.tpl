{{/* True when MLflow writes to /data: a database or artefacts live there. */}}
{{- define "tongues.mlflow.usesVolume" -}}
{{- if or (eq .Values.mlflow.database.kind "sqlite") (not .Values.mlflow.artifacts.destination) }}true{{ end -}}
{{- end -}}

{{- define "tongues.mlflow.makesClaim" -}}
{{- with .Values.mlflow.persistence }}
{{- if and (include "tongues.mlflow.usesVolume" $) .enabled (not .existingClaim) }}true{{ end -}}
{{- end -}}
{{- end -}}

{{/* The Service's names with and without port: what clients in the cluster send as Host header. */}}
{{- define "tongues.mlflow.allowedHosts" -}}
{{- $name := printf "%s-mlflow" (include "tongues.fullname" .) -}}
{{- $hosts := list "localhost" "localhost:*" "127.0.0.1:*" -}}
{{- range list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) -}}
{{- $hosts = concat $hosts (list . (printf "%s:%v" . $.Values.mlflow.service.port)) -}}
{{- end -}}
{{- join "," (concat $hosts .Values.mlflow.allowedHosts) -}}
{{- end -}}
