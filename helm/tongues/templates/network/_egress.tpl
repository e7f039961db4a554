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


{{/* To the MLflow of this release, or to one outside it; call with root and the address outside, if any. */}}
{{- define "tongues.egressMlflow" -}}
{{- if .outside -}}
{{ include "tongues.egress" .root.Values.networkPolicy.registry }}
{{- else -}}
- ports:
    - {port: http, protocol: TCP}
  to:
    - podSelector:
        matchLabels: {{- include "tongues.selector" (dict "root" .root "component" "mlflow") | nindent 10 }}
{{- end -}}
{{- end -}}

{{- define "tongues.egressServing" -}}
- ports:
    - {port: 8080, protocol: TCP}
  to:
    - podSelector:
        matchLabels: {{- include "tongues.selector" (dict "root" . "component" "serving") | nindent 10 }}
{{- end -}}
