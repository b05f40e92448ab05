{{- define "plimsoll.name" -}}
{{- default (ternary .Release.Name (printf "%s-%s" .Release.Name (default .Chart.Name .Values.nameOverride)) (contains (default .Chart.Name .Values.nameOverride) .Release.Name)) .Values.fullnameOverride | trunc 46 | trimSuffix "-" }}
{{- end }}

{{- define "plimsoll.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{- /* The labels by which pods are selected: never changed. */}}
{{- define "plimsoll.selector" -}}
app.kubernetes.io/name: plimsoll
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "plimsoll.labels" -}}
{{- if .component }}
{{- include "plimsoll.selector" . }}
{{- else -}}
app.kubernetes.io/name: plimsoll
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- include "plimsoll.moreLabels" . }}
{{- end }}

{{- define "plimsoll.podLabels" -}}
{{- include "plimsoll.selector" . }}
{{- include "plimsoll.moreLabels" . }}
{{- end }}

{{- /* The labels that the values put on everything and, in "more", on this: a key that is in both is this one's. None is one of ours: plimsoll.checkLabels. */}}
{{- define "plimsoll.moreLabels" -}}
{{- $all := deepCopy (default dict .root.Values.commonLabels) }}
{{- range $key, $value := .more }}{{ $_ := set $all $key $value }}{{ end }}
{{- with $all }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* What every pod of ours may: nothing that the "restricted" standard of PodSecurity forbids. */}}
{{- define "plimsoll.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65534
runAsGroup: 65534
fsGroup: 65534
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "plimsoll.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "plimsoll.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "plimsoll.tlsSecret" -}}
{{- if eq .Values.tls.source "secret" }}{{ required "tls.existingSecret: name the Secret, since tls.source is secret" .Values.tls.existingSecret }}{{ else }}{{ include "plimsoll.name" . }}-tls{{ end }}
{{- end }}

{{- /* The authority of the server's certificate as a part of a projected volume: a ConfigMap where it is ours, so that no node is given the Secret with the key. */}}
{{- define "plimsoll.caSource" -}}
{{- if or (eq .Values.tls.source "helm") .Values.tls.caBundle -}}
configMap: {name: {{ include "plimsoll.name" . }}-ca, items: [{key: ca.crt, path: ca.crt}]}
{{- else -}}
secret: {name: {{ include "plimsoll.tlsSecret" . | quote }}, items: [{key: ca.crt, path: ca.crt}]}
{{- end }}
{{- end }}

{{- define "plimsoll.dnsNames" -}}
{{- $name := include "plimsoll.name" . }}
{{- range $n := list $name (printf "%s-live" $name) }}
{{- range list (printf ".%s.svc" $.Release.Namespace) "" (printf ".%s" $.Release.Namespace) (printf ".%s.svc.cluster.local" $.Release.Namespace) }}
- {{ $n }}{{ . }}
{{- end }}
{{- end }}
- localhost
{{- end }}

{{- /* A time in whole days, as far as Helm can make certificates; the servers renew what lasts longer than it should. */}}
{{- define "plimsoll.days" -}}
{{- if hasSuffix "d" . }}{{ trimSuffix "d" . }}{{ else if hasSuffix "h" . }}{{ max 1 (div (trimSuffix "h" . | int) 24) }}{{ else }}1{{ end }}
{{- end }}

{{- /* The APIs that the API server passes on to us: the value that rules each, its group, and its versions with their priorities. */}}
{{- define "plimsoll.apis" -}}
- {value: metricsAPI, group: metrics.k8s.io, versions: {v1: 200, v1beta1: 100}}
- {value: customMetricsAPI, group: custom.metrics.k8s.io, versions: {v1beta2: 200, v1beta1: 100}}
- {value: externalMetricsAPI, group: external.metrics.k8s.io, versions: {v1beta1: 100}}
- {value: viewAPI, group: view.plimsoll.dev, versions: {v1alpha1: 100}}
{{- end }}

{{- /* Whether this release made an object. */}}
{{- define "plimsoll.isOurs" -}}
{{- $by := dig "metadata" "annotations" dict .object | default dict }}
{{- if and (eq (get $by "meta.helm.sh/release-name") .root.Release.Name) (eq (get $by "meta.helm.sh/release-namespace") .root.Release.Namespace) }}yes{{ end }}
{{- end }}

{{- /* Those APIServices of an API that are not this release's: it did not make them, or they lead to a Service of somebody else's by now. 'helm template' sees no cluster, and so none. */}}
{{- define "plimsoll.foreignAPIs" -}}
{{- $root := .root }}
{{- range $version, $_ := .api.versions }}
{{- with lookup "apiregistration.k8s.io/v1" "APIService" "" (printf "%s.%s" $version $.api.group) }}
{{- $to := default dict .spec.service }}
{{- $leads := and (eq (get $to "namespace") $root.Release.Namespace) (or (eq (get $to "name") (include "plimsoll.name" $root)) (include "plimsoll.isOurs" (dict "root" $root "object" (lookup "v1" "Service" $root.Release.Namespace (get $to "name"))))) }}
{{- $made := include "plimsoll.isOurs" (dict "root" $root "object" .) }}
{{- if not (and $made $leads) }}
- name: {{ .metadata.name }}
  of: {{ if $to }}Service {{ $to.namespace }}/{{ $to.name }}{{ else }}the API server itself{{ end }}
  made: {{ not (empty $made) }}
  kept: {{ eq (get (default dict .metadata.annotations) "helm.sh/resource-policy") "keep" }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The APIServices that this release makes. */}}
{{- define "plimsoll.madeAPIs" -}}
{{- range $api := include "plimsoll.apis" . | fromYamlArray }}
{{- if include "plimsoll.makesAPI" (dict "root" $ "api" $api) }}
{{- range $version, $_ := $api.versions }}
- {{ $version }}.{{ $api.group }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* An upgrade takes nothing away that others have taken over: Helm would change it back, or delete it since it is not rendered any more. The rights of this release tell what was made, whoever has made it anew since; those of another release that has our name tell of its own. */}}
{{- define "plimsoll.checkTaken" -}}
{{- $made := list }}
{{- $rights := lookup "rbac.authorization.k8s.io/v1" "ClusterRole" "" (printf "%s-server" (include "plimsoll.name" .root)) }}
{{- if include "plimsoll.isOurs" (dict "root" .root "object" $rights) }}
{{- range $rights.rules }}
{{- if has "apiservices" .resources }}{{ $made = concat $made .resourceNames }}{{ end }}
{{- end }}
{{- end }}
{{- range .foreign }}
{{- if and (or .made (has .name $made)) (not .kept) }}
{{- fail (printf "the APIService %s, which this release made, is of %s by now, and an upgrade would take it from them. To leave it to them: 'kubectl annotate apiservice %s helm.sh/resource-policy=keep'. To have it back: 'kubectl delete apiservice %s'. Then upgrade" .name .of .name .name) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "plimsoll.makesAPI" -}}
{{- $foreign := include "plimsoll.foreignAPIs" . | fromYamlArray }}
{{- $create := index .root.Values .api.value "create" | toString }}
{{- with $foreign }}
{{- include "plimsoll.checkTaken" (dict "root" $.root "foreign" .) }}
{{- if eq $create "true" }}
{{- fail (printf "%s.create is true, and there is already %s of %s: uninstall that first, or let %s.create be auto or false" $.api.value (first .).name (first .).of $.api.value) }}
{{- end }}
{{- end }}
{{- if and (not .root.Values.autoscaler.alone) (or (eq $create "true") (and (eq $create "auto") (not $foreign))) }}yes{{ end }}
{{- end }}

{{- /* A duration in seconds. */}}
{{- define "plimsoll.seconds" -}}
{{- $sum := 0.0 }}
{{- range regexFindAll "[0-9.]+(ms|s|m|h|d|w)" . -1 }}
{{- $unit := regexFind "[a-z]+" . }}
{{- $sum = addf $sum (mulf (trimSuffix $unit . | float64) (index (dict "ms" 0.001 "s" 1 "m" 60 "h" 3600 "d" 86400 "w" 604800) $unit)) }}
{{- end }}
{{- $sum }}
{{- end }}

{{- /* An amount in bytes. */}}
{{- define "plimsoll.bytes" -}}
{{- $unit := regexFind "[KMGTk]i?" . }}
{{- $of := 1.0 }}
{{- range until (index (dict "" 0 "k" 1 "K" 1 "M" 2 "G" 3 "T" 4) (trimSuffix "i" $unit) | int) }}{{- $of = mulf $of (ternary 1024 1000 (hasSuffix "i" $unit)) }}{{- end }}
{{- mulf (regexFind "[0-9.]+" . | float64) $of }}
{{- end }}

{{- /* ScalePolicies are the cluster's, and two autoscalers would both work them: refuses a second one. Whoever is bound to an autoscaler's rights has one; 'helm template' sees none. */}}
{{- define "plimsoll.checkSecond" -}}
{{- range dig "items" list (lookup "rbac.authorization.k8s.io/v1" "ClusterRoleBinding" "" "") }}
{{- $labels := default dict .metadata.labels }}
{{- if and (eq (get $labels "app.kubernetes.io/name") "plimsoll") (hasSuffix "-autoscaler" .roleRef.name) }}
{{- $release := get $labels "app.kubernetes.io/instance" }}
{{- range .subjects }}
{{- if and (eq .kind "ServiceAccount") (not (and (eq $release $.Release.Name) (eq .namespace $.Release.Namespace))) }}
{{- fail (printf "the release %s in the namespace %s has an autoscaler, and this one would work the same ScalePolicies: give this release autoscaler.mode=off (in a file mode: \"off\"), or that one first" $release .namespace) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The bounds that a part refuses to start beyond: told here, before pods that do not start replace those that run. */}}
{{- define "plimsoll.checkBounds" -}}
{{- $c := .Values.collector }}
{{- $e := .Values.history.embedded }}
{{- $bounds := list }}
{{- if not .Values.autoscaler.alone }}
{{- $bounds = append $bounds (list "seconds" "collector.interval" $c.interval "1s" "10m" "1s to 10m") }}
{{- $bounds = append $bounds (list "seconds" "history.embedded.retention" $e.retention "2h" "36500d" "2h or more, up to 36500d") }}
{{- if eq .Values.history.kind "embedded" }}
{{- $bounds = append $bounds (list "bytes" "history.embedded.maxBytes" $e.maxBytes "64Mi" "" "64Mi or more") }}
{{- end }}
{{- end }}
{{- if $c.enabled }}
{{- $bounds = append $bounds (list "seconds" "collector.fastInterval" $c.fastInterval "200ms" $c.interval (printf "200ms to collector.interval, which is %s" $c.interval)) }}
{{- $bounds = append $bounds (list "bytes" "collector.queue.maxBytes" $c.queue.maxBytes "32Mi" "" "32Mi or more") }}
{{- $bounds = append $bounds (list "seconds" "collector.queue.maxAge" $c.queue.maxAge "1m" "36500d" "1m or more, up to 36500d") }}
{{- end }}
{{- range $bounds }}
{{- $in := printf "plimsoll.%s" (index . 0) }}
{{- $least := index . 3 }}
{{- $most := index . 4 }}
{{- $is := include $in (index . 2) | float64 }}
{{- if lt $is (include $in $least | float64) }}
{{- fail (printf "%s %s is less than %s: give %s" (index . 1) (index . 2) $least (index . 5)) }}
{{- end }}
{{- if and $most (gt $is (include $in $most | float64)) }}
{{- fail (printf "%s %s is more than %s: give %s" (index . 1) (index . 2) $most (index . 5)) }}
{{- end }}
{{- end }}
{{- end }}

{{- /* The addresses of a history outside of the cluster, as its part takes them. What may be a password is not shown. */}}
{{- define "plimsoll.checkURLs" -}}
{{- $kind := .Values.history.kind }}
{{- $of := index .Values.history $kind }}
{{- range $name := ternary (list) (list "url" "queryURL") (eq $kind "embedded") }}
{{- with get $of $name }}
{{- $is := printf "history.%s.%s %s" $kind $name (regexReplaceAll "//.*@" . "//xxxxx@") }}
{{- $tokens := ternary "history.influx.collectorToken and history.influx.serverToken" "history.remote.token" (eq $kind "influx") }}
{{- if regexMatch "^https?://[^/?#]*@" . }}
{{- fail (printf "%s has a login in it, which whoever may read pods would see: leave it out, and name a Secret with it in %s" $is $tokens) }}
{{- end }}
{{- if not (regexMatch `^https?://([^][/?#@:%\s"<>\\]+|\[[^]/?#@\s]+\])(:[0-9]*)?([/?#]|$)` .) }}
{{- fail (printf "%s is no address: give one such as https://host:8086" $is) }}
{{- end }}
{{- if or (contains "#" .) (and (contains "?" .) (ne (printf "%s.%s" $kind $name) "remote.url")) }}
{{- fail (printf "%s: leave out what begins with ? or #, and name a Secret with a login in %s" (regexReplaceAll "[?#].*" $is "?xxxxx") $tokens) }}
{{- end }}
{{- if and (hasPrefix "http:" .) (not $of.plainHTTP) }}
{{- fail (printf "%s is plain HTTP: whoever is on the way reads and changes what passes. Let it be https, or history.%s.plainHTTP true" $is $kind) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Labels that the chart puts on itself are nobody else's: pods are found by them. Not in the schema, whose errors of a key name another place at random. */}}
{{- define "plimsoll.checkLabels" -}}
{{- $selected := include "plimsoll.selector" (dict "root" . "component" "any") | fromYaml | keys | sortAlpha }}
{{- $ours := include "plimsoll.labels" (dict "root" (set (pick . "Release" "Chart") "Values" dict) "component" "any") | fromYaml | keys | sortAlpha }}
{{- with .Values }}
{{- range list (list "commonLabels" .commonLabels $ours) (list "collector.podLabels" .collector.podLabels $selected) (list "server.podLabels" .server.podLabels $selected) (list "serviceMonitor.labels" .serviceMonitor.labels $ours) (list "podMonitor.labels" .podMonitor.labels $ours) (list "boards.label" .boards.label $ours) }}
{{- $name := index . 0 }}
{{- $own := default dict (index . 1) }}
{{- range index . 2 }}
{{- if hasKey $own . }}
{{- fail (printf "%s has %s: %s, which the chart sets itself: leave it out" $name . (get $own .)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /* What the schema cannot say. */}}
{{- define "plimsoll.check" -}}
{{- include "plimsoll.checkLabels" . }}
{{- if and (gt (int .Values.server.replicas) 1) (eq .Values.history.kind "embedded") .Values.collector.enabled }}
{{- fail "server.replicas is more than 1, and history.kind is embedded: collectors send their history to one server, so that each would have a part. Let history.kind be influx or remote, or server.replicas 1" }}
{{- end }}
{{- if and (gt (int .Values.server.replicas) 1) (eq .Values.history.kind "embedded") .Values.history.embedded.persistence.enabled (not .Values.autoscaler.alone) }}
{{- fail (printf "server.replicas is %d, and the history is embedded on one claim, which has one server at a time: let server.replicas be 1, history.embedded.persistence.enabled false (each server keeps a history of its own, which ends with its pod), or history.kind influx or remote" (int .Values.server.replicas)) }}
{{- end }}
{{- if .Values.autoscaler.alone }}
{{- if .Values.collector.enabled }}
{{- fail "autoscaler.alone is true, and collector.enabled too: there is no server to send to" }}
{{- end }}
{{- if has (.Values.autoscaler.mode | toString) (list "off" "false") }}
{{- fail "autoscaler.alone is true, and autoscaler.mode is off: there would be nothing to do" }}
{{- end }}
{{- range include "plimsoll.apis" . | fromYamlArray }}
{{- if eq (index $.Values .value "create" | toString) "true" }}
{{- fail (printf "autoscaler.alone is true, and %s.create too: there is no server to answer for %s" .value .group) }}
{{- end }}
{{- end }}
{{- else if not (or .Values.collector.enabled .Values.server.kubeletFallback) }}
{{- fail "collector.enabled and server.kubeletFallback are both false: nothing would be measured" }}
{{- end }}
{{- if .Values.podMonitor.enabled }}
{{- if not .Values.collector.enabled }}
{{- fail "podMonitor.enabled is true, and collector.enabled is false: there is no collector to scrape" }}
{{- end }}
{{- if not .Values.collector.webConfigSecret }}
{{- fail "podMonitor.enabled is true, and collectors serve their metrics on their loopback alone: name a Secret with TLS and a login in collector.webConfigSecret" }}
{{- end }}
{{- end }}
{{- if not (has (.Values.autoscaler.mode | toString) (list "off" "false")) }}
{{- include "plimsoll.checkSecond" . }}
{{- end }}
{{- include "plimsoll.checkBounds" . }}
{{- if and (eq .Values.tls.source "helm") (lt (include "plimsoll.seconds" .Values.tls.authorityLifetime | float64) (mulf 2 (include "plimsoll.seconds" .Values.tls.certificateLifetime))) }}
{{- fail (printf "tls.authorityLifetime %s: an authority is renewed when half of it is over, which is before certificates of %s are: give twice as much at least, or a shorter tls.certificateLifetime" .Values.tls.authorityLifetime .Values.tls.certificateLifetime) }}
{{- end }}
{{- with .Values.history.embedded }}
{{- if and (eq $.Values.history.kind "embedded") (not .persistence.enabled) .persistence.existingClaim }}
{{- fail (printf "history.embedded.persistence.enabled is false, and history.embedded.persistence.existingClaim is %s: the history would end with the pod, and not be in that claim" .persistence.existingClaim) }}
{{- end }}
{{- if and (eq $.Values.history.kind "embedded") .persistence.enabled (not .persistence.existingClaim) (gt (include "plimsoll.bytes" .maxBytes | float64) (include "plimsoll.bytes" .persistence.size | float64)) }}
{{- fail (printf "history.embedded.maxBytes %s is more than its claim has, history.embedded.persistence.size %s" .maxBytes .persistence.size) }}
{{- end }}
{{- end }}
{{- include "plimsoll.checkURLs" . }}
{{- if eq .Values.history.kind "influx" }}{{ $_ := required "history.influx.url: say where InfluxDB is, since history.kind is influx" .Values.history.influx.url }}{{ end }}
{{- if eq .Values.history.kind "remote" }}{{ $_ := required "history.remote.url: say where the engine is, since history.kind is remote" .Values.history.remote.url }}{{ end }}
{{- end }}
