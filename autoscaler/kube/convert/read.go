package convert

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"plimsoll.dev/plimsoll/autoscaler/policy/strict"
)

// maxDepth is how deep lists of lists are followed.
const maxDepth = 3

// Object is an object of a cluster, of any kind.
type Object struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name            string                  `json:"name"`
		Namespace       string                  `json:"namespace"`
		Labels          map[string]string       `json:"labels"`
		Annotations     map[string]string       `json:"annotations"`
		OwnerReferences []metav1.OwnerReference `json:"ownerReferences"`
	} `json:"metadata"`
	Spec  json.RawMessage   `json:"spec"`
	Items []json.RawMessage `json:"items"`
	// Err says where what is no object is, and why it is none; nothing else is known of that.
	Err error `json:"-"`
}

// Read gives the objects of a file: YAML documents or JSON, lists taken apart. What cannot be read is there as its Err, and the rest
// all the same; the error is one of reading the file at all.
func Read(r io.Reader) (out []Object, err error) {
	for documents := strict.NewReader(r); ; {
		doc, err := documents.Next()
		var one *strict.Error
		switch {
		case errors.Is(err, io.EOF):
			return out, nil
		case errors.As(err, &one):
			out = append(out, Object{Err: err})
			continue
		case err != nil:
			return nil, err
		}
		at := fmt.Sprintf("document %d, line %d: ", doc.Number, doc.Line)
		raw, err := yaml.YAMLToJSONStrict([]byte(doc.Text))
		if err != nil {
			out = append(out, Object{Err: fmt.Errorf("%s%w", at, err)})
			continue
		}
		out = take(out, raw, at, 0)
	}
}

// Take gives the objects of one document of JSON.
func Take(raw []byte) []Object { return take(nil, raw, "", 0) }

func take(out []Object, raw []byte, at string, depth int) []Object {
	var o Object
	err := json.Unmarshal(raw, &o)
	switch {
	case err != nil:
		err = fmt.Errorf("%scannot be read as an object of Kubernetes: %w", at, err)
	case o.Items == nil && (o.Kind == "" || o.APIVersion == ""):
		err = fmt.Errorf("%sis no object of Kubernetes: apiVersion and kind must be there", at)
	case o.Items == nil:
		return append(out, o)
	case depth == maxDepth:
		err = fmt.Errorf("%shas lists in lists, deeper than %d", at, maxDepth)
	}
	if err != nil {
		return append(out, Object{Err: err})
	}
	for i, item := range o.Items {
		out = take(out, item, fmt.Sprintf("%sitems[%d]: ", at, i), depth+1)
	}
	return out
}
