{{/* What `tongues serving follow` is started with: the one place to change with its options. */}}
{{- define "tongues.follower.arguments" -}}
{{- with .Values.follower -}}
- serving
- follow
{{- range .references }}
- {{ . | quote }}
{{- end }}
- --name={{ .name }}
- --mode=adapter
- --workspace=/workspace
{{- range .servers }}
- {{ printf "--server=%s" . | quote }}
{{- end }}
- --door=http://127.0.0.1:8000
{{- with .base }}
- {{ printf "--base=%s" . | quote }}
{{- end }}
- --max-rank={{ $.Values.serving.adapter.maxLoraRank }}
- --poll-s={{ .pollS }}
- --watch-s={{ .watchS }}
- --latency-s={{ .latencyS }}
- --error-rate={{ .errorRate }}
- --language-drop={{ .languageDrop }}
- --host=0.0.0.0
- --metrics-port=9090
{{- range .extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* And its door, which reads the table that the follower writes. */}}
{{- define "tongues.door.arguments" -}}
- serving
- door
- --routes=/workspace/serving/{{ .Values.follower.name }}/routes.json
- --host=0.0.0.0
- --port=8000
- --api-keys=/keys/api-keys
{{- end -}}
