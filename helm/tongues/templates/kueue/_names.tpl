{{- define "tongues.localQueue" -}}
{{- default .Release.Namespace .Values.kueue.localQueue -}}
{{- end -}}

{{/* Objects of the whole cluster carry the namespace in their name, so that two tenants do not share one. */}}
{{- define "tongues.clusterQueue" -}}
{{- default (printf "%s-%s" (include "tongues.fullname" .) .Release.Namespace | trunc 63 | trimSuffix "-") .Values.kueue.clusterQueue -}}
{{- end -}}

{{- define "tongues.flavor" -}}
{{- default (include "tongues.clusterQueue" .) .Values.kueue.flavor.name -}}
{{- end -}}
