{{/* A PodDisruptionBudget; call with (dict "root" $ "component" "mlflow"). */}}
{{- define "tongues.disruptionBudget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "tongues.fullname" .root }}-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{- include "tongues.labels" . | nindent 4 }}
spec:
  # A share of the pods would hold a node for ever where there is one pod.
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "tongues.selector" . | nindent 6 }}
{{- end -}}
