{{/* Labels of what Prometheus and Grafana look for. */}}
{{- define "tongues.monitoring.labels" -}}
{{ include "tongues.labels" (dict "root" . "component" "monitoring") }}
{{- with .Values.monitoring.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Endpoint of a pod that declares no port, as KFP and Trainer make them; call with root and container. */}}
{{- define "tongues.monitoring.runsEndpoint" -}}
- path: /metrics
  interval: {{ .root.Values.monitoring.intervalS }}s
  relabelings:
    - {action: keep, sourceLabels: [__meta_kubernetes_pod_container_name], regex: {{ .container }}}
    - {action: replace, sourceLabels: [__meta_kubernetes_pod_ip], targetLabel: __address__, replacement: "$1:9464"}
{{- end -}}
