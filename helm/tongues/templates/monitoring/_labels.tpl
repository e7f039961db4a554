{{/* Labels of what Prometheus and Grafana look for. */}}
{{- define "tongues.monitoring.labels" -}}
{{ include "tongues.labels" (dict "root" . "component" "monitoring") }}
{{- with .Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}
