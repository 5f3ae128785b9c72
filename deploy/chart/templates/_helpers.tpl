{{- define "cmek-auditor.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "cmek-auditor.account" -}}
{{ .Values.serviceAccount.name | default (include "cmek-auditor.name" .) }}
{{- end }}

{{- define "cmek-auditor.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "cmek-auditor.labels" -}}
{{ include "cmek-auditor.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "cmek-auditor.image" -}}
{{- $image := .Values.image }}
{{- $of := required "image.repository: say where the image is that the Dockerfile builds" $image.repository }}
{{- if $image.digest }}{{ $of }}@{{ $image.digest }}{{ else }}{{ $of }}:{{ required "image.tag or image.digest: say which image" $image.tag }}{{ end }}
{{- end }}

{{/* State and web side are the chart's: beyond loopback the daemon asks for TLS and a login, and does not start without. */}}
{{- define "cmek-auditor.config" -}}
{{- $own := required "config: give auditor.toml, at least one [[bucket]] or [[registry]]" .Values.config }}
{{- $first := regexSplit "(?m)^\\s*\\[" $own 2 | first }}
{{- if or (regexMatch "(?m)^\\s*\\[+\\s*[\"']?web[\"']?\\s*[].]" $own) (regexMatch "(?m)^\\s*[\"']?web[\"']?\\s*[.=]" $first) }}{{ fail "config: leave [web] away, the chart writes it from `web`" }}{{ end }}
{{- if regexMatch "(?m)^\\s*[\"']?state[\"']?\\s*=" $first }}{{ fail "config: leave `state` away, the chart writes it" }}{{ end }}
{{- $_ := required "web.tls.secret: name a secret of type kubernetes.io/tls" .Values.web.tls.secret -}}
state = "/var/lib/cmek-auditor/state"
{{ $own | trimSuffix "\n" }}

[web]
listen = "0.0.0.0:{{ .Values.web.port }}"
tls_cert = "/tls/tls.crt"
tls_key = "/tls/tls.key"
token_env = "CMEK_AUDITOR_TOKEN"
hosts = {{ .Values.web.hosts | toJson }}
{{ end }}
