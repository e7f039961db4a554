{{/* Policy of pods that others make (KFP, Trainer), told by their labels; call with root, kind, selector. */}}
{{- define "tongues.runsPolicy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ include "tongues.fullname" .root }}-{{ .kind }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "tongues.labels" (dict "root" .root "component" "network") | nindent 4 }}
spec:
  podSelector: {{- toYaml .selector | nindent 4 }}
  policyTypes: [Ingress, Egress]
  {{- $scrapers := .root.Values.networkPolicy.metrics.from }}
  {{- if or $scrapers (eq .kind "trainers") }}
  ingress:
  {{- end }}
    {{- with $scrapers }}
    - ports:
        - {port: 9464, protocol: TCP}
      from: {{- toYaml . | nindent 8 }}
    {{- end }}
  {{- if eq .kind "trainers" }}
    # The nodes of a TrainJob talk to each other, on ports that torch chooses.
    - from:
        - podSelector: {{- toYaml .selector | nindent 12 }}
  {{- end }}
  egress:
    {{- include "tongues.egressDns" .root | nindent 4 }}
    {{- include "tongues.egressMlflow" (dict "root" .root "outside" (include "tongues.runs.outsideMlflow" .root)) | nindent 4 }}
    {{- if eq .kind "steps" }}
    {{- include "tongues.egressServing" .root | nindent 4 }}
    {{- end }}
    {{- if and (eq .kind "steps") .root.Values.follower.enabled }}
    - ports:
        - {port: http, protocol: TCP}
      to:
        - podSelector:
            matchLabels: {{- include "tongues.selector" (dict "root" .root "component" "follower") | nindent 14 }}
    {{- end }}
    {{- include "tongues.egress" .root.Values.networkPolicy.objectStore | nindent 4 }}
    {{- include "tongues.egress" .root.Values.networkPolicy.runs | nindent 4 }}
    {{- if .root.Values.pipeline.settings.pushgatewayUrl }}
    {{- include "tongues.egress" .root.Values.networkPolicy.pushgateway | nindent 4 }}
    {{- end }}
    {{- if eq .kind "trainers" }}
    - to:
        - podSelector: {{- toYaml .selector | nindent 12 }}
    {{- end }}
{{- end -}}
