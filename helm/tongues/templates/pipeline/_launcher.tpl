{{/* Object-store settings as the KFP launcher reads them: YAML in a string. */}}
{{- define "tongues.launcher.providers" -}}
{{- $store := .Values.objectStore -}}
{{- $url := default "https://s3.amazonaws.com" $store.endpointUrl | urlParse -}}
s3:
  default:
    endpoint: {{ $url.host }}
    region: {{ $store.region }}
    disableSSL: {{ eq $url.scheme "http" }}
    forcePathStyle: {{ ne $store.endpointUrl "" }}
    credentials:
      {{- with .Values.pipeline.objectStoreSecret }}
      fromEnv: false
      secretRef:
        secretName: {{ . }}
        accessKeyKey: {{ $.Values.pipeline.launcher.accessKeyKey }}
        secretKeyKey: {{ $.Values.pipeline.launcher.secretKeyKey }}
      {{- else }}
      fromEnv: true
      {{- end }}
{{- end -}}
