{{- define "hakanai.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for what is appended, within the 63 characters of a name in DNS. */}}
{{- define "hakanai.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "hakanai.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "hakanai.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "hakanai.valkey" -}}
{{- include "hakanai.fullname" . }}-valkey
{{- end -}}

{{/* What a selector selects: of the chart, the release, and a component, which is the argument beside the root. */}}
{{- define "hakanai.selector" -}}
app.kubernetes.io/name: {{ include "hakanai.name" (index . 0) }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "hakanai.labels" -}}
{{ include "hakanai.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version | replace "+" "_" | trunc 63 }}
{{- end -}}

{{- define "hakanai.serviceAccount" -}}
{{- default (ternary (include "hakanai.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{/* An image of a block of values: by its digest, its tag, or the second argument. */}}
{{- define "hakanai.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (index . 1) $image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Pod security of the level "restricted". */}}
{{- define "hakanai.podSecurity" -}}
{{- toYaml . }}
runAsNonRoot: true
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "hakanai.containerSecurity" -}}
{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
{{- end -}}

{{- define "hakanai.valkeySecret" -}}
{{- default (include "hakanai.valkey" .) .Values.valkey.existingSecret -}}
{{- end -}}

{{/* The names of the Valkey pods where there are Sentinels. */}}
{{- define "hakanai.valkeyHosts" -}}
{{- if eq .Values.store "sentinel" -}}
{{- $valkey := include "hakanai.valkey" . -}}
{{- range $i := until 3 }}{{ if $i }} {{ end }}{{ $valkey }}-{{ $i }}.{{ $valkey }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The chart's Valkey as a DSN. Kubernetes puts in the password. */}}
{{- define "hakanai.dsn" -}}
{{- if eq .Values.store "sentinel" -}}
redis://hakanai:$(VALKEY_PASSWORD)@{{ include "hakanai.valkeyHosts" . | replace " " "," }}/0?master=main&sentinel_user=hakanai&sentinel_password=$(VALKEY_PASSWORD)
{{- else -}}
redis://hakanai:$(VALKEY_PASSWORD)@{{ include "hakanai.valkey" . }}
{{- end -}}
{{- end -}}

{{/* Whether the chart makes a Secret with what is given as a value. */}}
{{- define "hakanai.ownSecret" -}}
{{- if or (and (eq .Values.store "external") .Values.external.dsn) .Values.webhook.token .Values.webhook.signingKey }}yes{{ end -}}
{{- end -}}

{{/* A number as it was written: numbers of values are floating, and large ones would be printed with an exponent. */}}
{{- define "hakanai.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{/*
The largest body that the server reads: the secret in base64, sealed and padded (12 % at most), in base64 again with room for
escapes, and what is around it. Trusted callers have no limit, and user tokens may have one of their own.
*/}}
{{- define "hakanai.bodySize" -}}
{{- $limit := include "hakanai.text" .Values.config.HAKANAI_UPLOAD_SIZE_LIMIT | default "10m" | lower -}}
{{- if ne (toString .Values.ingress.nginx.bodySize) "" -}}
{{- include "hakanai.text" .Values.ingress.nginx.bodySize -}}
{{- else if or .Values.config.HAKANAI_TRUSTED_IP_RANGES (eq (toString .Values.config.HAKANAI_ENABLE_ADMIN_TOKEN) "true") -}}
0
{{- else -}}
{{- $unit := get (dict "k" 1024 "m" 1048576 "g" 1073741824) (regexFind "[kmg]$" $limit) | default 1 -}}
{{- $bytes := mulf (trimAll "kmg" $limit | float64) $unit -}}
{{- $ciphertext := mulf 1.125 (addf (mulf 1.34 $bytes) 2100) -}}
{{- addf (mulf 1.42 $ciphertext) 65600 | ceil | int64 -}}
{{- end -}}
{{- end -}}
