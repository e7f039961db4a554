{{/* Every reason why these values cannot work on this cluster, one a line; empty when they can. */}}
{{- define "tongues.problems" -}}
{{- if .Values.checks.capabilities }}{{ include "tongues.missingApis" . }}{{ end }}
{{- if .Values.mlflow.enabled }}{{ include "tongues.mlflowProblems" . }}{{ end }}
{{- if and .Values.serving.enabled (not .Values.serving.merged.enabled) (not .Values.serving.adapter.enabled) }}
- serving.enabled is true, but serving.merged.enabled and serving.adapter.enabled are both false: switch one on, or serving off.
{{- end }}
{{- end -}}

{{- define "tongues.missingApis" -}}
{{- if and .Values.serving.enabled (not (.Capabilities.APIVersions.Has "serving.kserve.io/v1alpha1")) }}
- serving.enabled is true, but this cluster has no serving.kserve.io/v1alpha1 (KServe): install KServe first, or set serving.enabled=false. To render without a cluster: --api-versions serving.kserve.io/v1alpha1, or checks.capabilities=false.
{{- end }}
{{- if and .Values.pipeline.enabled .Values.pipeline.train (not (.Capabilities.APIVersions.Has "trainer.kubeflow.org/v1alpha1")) }}
- pipeline.train is true, but this cluster has no trainer.kubeflow.org/v1alpha1 (Kubeflow Trainer 2): install it first, or set pipeline.train=false. To render without a cluster: --api-versions trainer.kubeflow.org/v1alpha1, or checks.capabilities=false.
{{- end }}
{{- end -}}

{{- define "tongues.mlflowProblems" -}}
{{- with .Values.mlflow }}
{{- if and (eq .database.kind "external") (not .database.existingSecret) }}
- mlflow.database.kind is external, but mlflow.database.existingSecret is empty: name the Secret with the database URI.
{{- end }}
{{- if and (gt (int .replicas) 1) (ne .database.kind "external") }}
- mlflow.replicas is {{ .replicas }}, but mlflow.database.kind is sqlite, which serves one pod: set mlflow.replicas=1 or use an external database.
{{- end }}
{{- if and (gt (int .replicas) 1) (not .artifacts.destination) }}
- mlflow.replicas is {{ .replicas }}, but artefacts are on one pod's volume: set mlflow.replicas=1 or mlflow.artifacts.destination=s3://BUCKET/PREFIX.
{{- end }}
{{- if and .artifacts.existingSecret (not .artifacts.destination) }}
- mlflow.artifacts.existingSecret is set, but mlflow.artifacts.destination is empty: set it to s3://BUCKET/PREFIX, or remove the Secret.
{{- end }}
{{- end }}
{{- end -}}
