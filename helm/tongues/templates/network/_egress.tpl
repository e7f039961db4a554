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
