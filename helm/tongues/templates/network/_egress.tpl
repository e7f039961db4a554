{{/* One egress rule; call with {to, ports}. */}}
{{- define "tongues.egress" -}}
- ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  to: {{- toYaml .to | nindent 4 }}
{{- end -}}

{{- define "tongues.egressDns" -}}
{{- with .Values.networkPolicy.dns -}}
- ports:
    {{- range .ports }}
    - {port: {{ . }}, protocol: UDP}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  to: {{- toYaml .to | nindent 4 }}
{{- end -}}
{{- end -}}


{{/* To the MLflow of this release, or to one outside it. */}}
{{- define "tongues.egressMlflow" -}}
{{- if .Values.follower.registry.trackingUri -}}
{{ include "tongues.egress" .Values.networkPolicy.registry }}
{{- else -}}
- ports:
    - {port: http, protocol: TCP}
  to:
    - podSelector:
        matchLabels: {{- include "tongues.selector" (dict "root" . "component" "mlflow") | nindent 10 }}
{{- end -}}
{{- end -}}

{{- define "tongues.egressServing" -}}
- ports:
    - {port: 8080, protocol: TCP}
  to:
    - podSelector:
        matchLabels: {{- include "tongues.selector" (dict "root" . "component" "serving") | nindent 10 }}
{{- end -}}
