{{/* A node of a TrainJob; the job brings the command, its own resources and the ServiceAccount. */}}
{{- define "tongues.trainer.pod" -}}
{{- $trainer := .Values.trainer -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- include "tongues.podSecurity" . | nindent 2 }}
containers:
  - name: node
    image: {{ include "tongues.image" (dict "root" . "image" $trainer.image) }}
    imagePullPolicy: {{ $trainer.image.pullPolicy }}
    env:
      - {name: HOME, value: /tmp}
    resources: {{- toYaml $trainer.resources | nindent 6 }}
    securityContext: {{- include "tongues.containerSecurity" . | nindent 6 }}
    volumeMounts:
      - {name: shm, mountPath: /dev/shm}
      - {name: tmp, mountPath: /tmp}
volumes:
  - {name: shm, emptyDir: {medium: Memory, sizeLimit: {{ $trainer.sharedMemory }}}}
  - {name: tmp, emptyDir: {sizeLimit: {{ $trainer.scratch }}}}
{{- with $trainer.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $trainer.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
