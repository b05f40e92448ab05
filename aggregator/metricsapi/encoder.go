package metricsapi

import (
	"io"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// negotiated is the library's choice of encodings, with our own JSON and protobuf for lists of pods: the library's take several times as long.
type negotiated struct {
	runtime.NegotiatedSerializer
	json, proto runtime.Identifier // of the JSON that is not made pretty, and of protobuf
}

func newNegotiated(of runtime.NegotiatedSerializer) negotiated {
	n := negotiated{NegotiatedSerializer: of}
	for _, info := range of.SupportedMediaTypes() {
		switch info.MediaType {
		case runtime.ContentTypeJSON:
			n.json = info.Serializer.Identifier()
		case runtime.ContentTypeProtobuf:
			n.proto = info.Serializer.Identifier()
		}
	}
	return n
}

// EncoderForVersion implements runtime.NegotiatedSerializer.
func (n negotiated) EncoderForVersion(to runtime.Encoder, gv runtime.GroupVersioner) runtime.Encoder {
	e := encoder{Encoder: n.NegotiatedSerializer.EncoderForVersion(to, gv)}
	version, ok := gv.(schema.GroupVersion)
	if !ok {
		return e
	}
	e.version = version.String()
	switch to.Identifier() {
	case n.json:
		e.write = (*podList).writeJSON
	case n.proto:
		e.write = (*podList).writeProto
	}
	return e
}

// encoder encodes for one version.
type encoder struct {
	runtime.Encoder
	version string
	write   func(l *podList, w io.Writer, apiVersion string) error // nil: the library encodes
}

// Encode implements runtime.Encoder.
func (e encoder) Encode(o runtime.Object, w io.Writer) error {
	l, ok := o.(*podList)
	switch {
	case ok && e.write != nil:
		return e.write(l, w, e.version)
	case ok:
		o = l.objects()
	}
	return e.Encoder.Encode(o, w)
}
