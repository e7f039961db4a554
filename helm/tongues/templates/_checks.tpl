{{/* Every reason why these values cannot work on this cluster, one a line; empty when they can. */}}
{{- define "tongues.problems" -}}
{{- if .Values.checks.capabilities }}{{ include "tongues.tooOld" . }}{{ include "tongues.missingApis" . }}{{ end }}
{{- if .Values.mlflow.enabled }}{{ include "tongues.mlflowProblems" . }}{{ end }}
{{- if and .Values.serving.enabled (not .Values.serving.merged.enabled) (not .Values.serving.adapter.enabled) }}
- serving.enabled is true, but serving.merged.enabled and serving.adapter.enabled are both false: switch one on, or serving off.
{{- end }}
{{- if .Values.pipeline.enabled }}{{ include "tongues.pipelineProblems" . }}{{ end }}
{{- if .Values.follower.enabled }}{{ include "tongues.followerProblems" . }}{{ end }}
{{- if .Values.gateway.enabled }}{{ include "tongues.gatewayProblems" . }}{{ end }}
{{- if .Values.autoscaling.enabled }}{{ include "tongues.autoscalingProblems" . }}{{ end }}
{{- if .Values.tenant.enabled }}{{ include "tongues.tenantProblems" . }}{{ end }}
{{- if .Values.checks.cluster }}{{ include "tongues.clusterProblems" . }}{{ end }}
{{- end -}}

{{- define "tongues.tooOld" -}}
{{- if not (semverCompare ">=1.32.0-0" .Capabilities.KubeVersion.Version) }}
- this cluster runs Kubernetes {{ .Capabilities.KubeVersion.Version }}, and tongues (as KServe) needs 1.32 or later: upgrade the cluster. To render without one: --kube-version, or checks.capabilities=false.
{{- end }}
{{- end -}}

{{/* What a switched-on part needs of the cluster: switch, API, who brings it. */}}
{{- define "tongues.missingApis" -}}
{{- $needs := list
  (list "serving.enabled" .Values.serving.enabled "serving.kserve.io/v1alpha1" "KServe 0.17 or later")
  (list "pipeline.train" (and .Values.pipeline.enabled .Values.pipeline.train) "trainer.kubeflow.org/v1alpha1" "Kubeflow Trainer 2")
  (list "trainer.enabled" .Values.trainer.enabled "trainer.kubeflow.org/v1alpha1" "Kubeflow Trainer 2")
  (list "kueue.enabled" .Values.kueue.enabled "kueue.x-k8s.io/v1beta2" "Kueue 0.15 or later")
  (list "gateway.enabled" .Values.gateway.enabled "gateway.networking.k8s.io/v1" "the Gateway API 1.1 or later")
  (list "autoscaling.enabled" .Values.autoscaling.enabled "keda.sh/v1alpha1" "KEDA 2")
  (list "monitoring.enabled" .Values.monitoring.enabled "monitoring.coreos.com/v1" "the Prometheus operator") -}}
{{- range $needs }}
{{- if and (index . 1) (not ($.Capabilities.APIVersions.Has (index . 2))) }}
- {{ index . 0 }} is true, but this cluster has no {{ index . 2 }} ({{ index . 3 }}): install it first, or set {{ index . 0 }}=false. To render without a cluster: --api-versions {{ index . 2 }}, or checks.capabilities=false.
{{- end }}
{{- end }}
{{- end -}}

{{- define "tongues.mlflowProblems" -}}
{{- with .Values.mlflow }}
{{- $version := regexFind "[0-9]+\\.[0-9]+\\.[0-9]+" .image.tag }}
{{- if and (not .image.digest) (or (not $version) (semverCompare "<3.16.1" (default "0.0.0" $version))) }}
- mlflow.image.tag is {{ .image.tag }}, and tongues needs MLflow 3.16.1 or later (earlier ones load pickled models): name such a tag, or a digest.
{{- end }}
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

{{- define "tongues.pipelineProblems" -}}
{{- if and .Values.pipeline.settings.create (not .Values.mlflow.enabled) (not (include "tongues.runs.outsideMlflow" .)) }}
- pipeline.enabled is true, but runs are told of no MLflow: set pipeline.settings.mlflowTrackingUri, or mlflow.enabled=true.
{{- end }}
{{- with .Values.pipeline }}
{{- if and .launcher.enabled (not .launcher.root) }}
- pipeline.launcher.enabled is true, but pipeline.launcher.root is empty: set it to s3://BUCKET/PREFIX.
{{- end }}
{{- end }}
{{- end -}}

{{- define "tongues.followerProblems" -}}
{{- with .Values.follower }}
{{- if not .references }}
- follower.enabled is true, but follower.references is empty: name at least one MODEL@ALIAS, such as gl@champion.
{{- end }}
{{- if not .servers }}
- follower.enabled is true, but follower.servers is empty: name the address of at least one InferenceService, such as http://NAME-predictor.{{ $.Release.Namespace }}.svc.
{{- end }}
{{- if not .apiKeys.existingSecret }}
- follower.enabled is true, but follower.apiKeys.existingSecret is empty: name the Secret with api-keys and follower-key.
{{- end }}
{{- if and (not .registry.trackingUri) (not $.Values.mlflow.enabled) }}
- follower.enabled is true, but there is no MLflow: set follower.registry.trackingUri, or mlflow.enabled=true.
{{- end }}
{{- if and (not .registry.trackingUri) $.Values.mlflow.enabled $.Values.mlflow.auth.enabled (not .registry.existingSecret) }}
- follower.enabled is true and MLflow asks for a password, but follower.registry.existingSecret is empty: name the Secret with MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD.
{{- end }}
{{- if not (and $.Values.serving.enabled $.Values.serving.adapter.enabled) }}
- follower.enabled is true, but serving.enabled or serving.adapter.enabled is false: it loads adapters into that runtime, so switch both on.
{{- end }}
{{- end }}
{{- end -}}

{{- define "tongues.gatewayProblems" -}}
{{- with .Values.gateway }}
{{- if not .hostnames }}
- gateway.enabled is true, but gateway.hostnames is empty: name at least one host.
{{- end }}
{{- if and .className (not .tls.existingSecret) }}
- gateway.className is set, but gateway.tls.existingSecret is empty: name the Secret with the certificate, as keys and answers must not travel in the open.
{{- end }}
{{- if and (not .className) (not .parent.name) }}
- gateway.enabled is true, but gateway.className and gateway.parent.name are both empty: name a GatewayClass for a new Gateway, or a Gateway that is there.
{{- end }}
{{- if and (not .backend.service) (not $.Values.follower.enabled) }}
- gateway.enabled is true, but nothing answers: set follower.enabled=true, or gateway.backend.service to the Service of an InferenceService.
{{- end }}
{{- end }}
{{- end -}}

{{- define "tongues.autoscalingProblems" -}}
{{- with .Values.autoscaling }}
{{- if not .inferenceService }}
- autoscaling.enabled is true, but autoscaling.inferenceService is empty: name the one to scale.
{{- end }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
- autoscaling.minReplicas is {{ .minReplicas }}, which is more than autoscaling.maxReplicas, {{ .maxReplicas }}: lower one or raise the other.
{{- end }}
{{- end }}
{{- end -}}

{{/* A tenant is its namespace: the same word as workspace in MLflow, first folder in buckets, and queue. */}}
{{- define "tongues.tenantProblems" -}}
{{- $own := .Release.Namespace -}}
{{- $prefix := printf "^s3://[^/]+/%s(/|$)" $own -}}
{{- range $name, $uri := dict "mlflow.artifacts.destination" (and .Values.mlflow.enabled .Values.mlflow.artifacts.destination) "pipeline.launcher.root" .Values.pipeline.launcher.root }}
{{- if and $uri (not (regexMatch $prefix $uri)) }}
- tenant.enabled is true, but {{ $name }} is {{ $uri }}: a tenant writes below its own name, so set it to s3://BUCKET/{{ $own }}/...
{{- end }}
{{- end }}
{{- if and .Values.kueue.enabled (ne (include "tongues.localQueue" .) $own) }}
- tenant.enabled is true, but kueue.localQueue is {{ .Values.kueue.localQueue }}: a tenant's queue bears its name, so leave it empty.
{{- end }}
{{- if .Values.networkPolicy.enabled }}
{{- range $name := list "mlflow" "serving" "follower" "metrics" }}
{{- range (index $.Values.networkPolicy $name).from }}
{{- if and (hasKey . "namespaceSelector") (not .namespaceSelector) }}
- tenant.enabled is true, but networkPolicy.{{ $name }}.from lets every namespace in: name the namespaces by kubernetes.io/metadata.name.
{{- end }}
{{- end }}
{{- end }}
{{- else }}
- tenant.enabled is true, but networkPolicy.enabled is false: tenants would reach each other, so set it to true.
{{- end }}
{{- if and .Values.trainer.enabled .Values.trainer.clusterWide }}
- tenant.enabled is true, but trainer.clusterWide is true, and the runtime would be everybody's: set it to false.
{{- end }}
{{- end -}}
