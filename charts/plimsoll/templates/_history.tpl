{{- /* Arguments, mount and volume by which a part reaches a history outside of the cluster; "token" and "influx" are its own Secret of InfluxDB. */}}
{{- define "plimsoll.influxArgs" -}}
{{- $i := .root.Values.history.influx -}}
- {{ printf "--influx-url=%s" $i.url | quote }}
- {{ printf "--influx-bucket=%s" $i.bucket | quote }}
{{- with $i.org }}
- {{ printf "--influx-org=%s" . | quote }}
{{- end }}
{{- if $i.plainHTTP }}
- --influx-plain-http
{{- end }}
{{- if .token.secret }}
- --influx-token-file=/var/run/secrets/history/token
{{- end }}
{{- end }}

{{- define "plimsoll.historyToken" -}}
{{- $kind := .root.Values.history.kind }}
{{- if eq $kind "influx" }}{{ .influx | toJson }}{{ else if eq $kind "remote" }}{{ .root.Values.history.remote.token | toJson }}{{ else }}{}{{ end }}
{{- end }}

{{- define "plimsoll.historyMount" -}}
{{- if get (include "plimsoll.historyToken" . | fromJson) "secret" -}}
- {name: history-token, mountPath: /var/run/secrets/history, readOnly: true}
{{- end }}
{{- end }}

{{- define "plimsoll.historyVolume" -}}
{{- $token := include "plimsoll.historyToken" . | fromJson }}
{{- if get $token "secret" -}}
- {name: history-token, secret: {secretName: {{ $token.secret | quote }}, items: [{key: {{ $token.key | quote }}, path: token}]}}
{{- end }}
{{- end }}
