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
}

// Read gives the objects of a file: YAML documents or JSON, lists taken apart.
func Read(r io.Reader) ([]Object, error) {
	var out []Object
	for documents := strict.NewReader(r); ; {
		doc, err := documents.Next()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		raw, err := yaml.YAMLToJSONStrict([]byte(doc.Text))
		if err == nil {
			out, err = take(out, raw, 0)
		}
		if err != nil {
			return nil, fmt.Errorf("document %d, line %d: %w", doc.Number, doc.Line, err)
		}
	}
}

// Take gives the objects of one document of JSON.
func Take(raw []byte) ([]Object, error) { return take(nil, raw, 0) }

func take(out []Object, raw []byte, depth int) ([]Object, error) {
	var o Object
	if err := json.Unmarshal(raw, &o); err != nil {
		return nil, fmt.Errorf("cannot be read as an object of Kubernetes: %w", err)
	}
	switch {
	case o.Items == nil && (o.Kind == "" || o.APIVersion == ""):
		return nil, errors.New("is no object of Kubernetes: apiVersion and kind must be there")
	case o.Items == nil:
		return append(out, o), nil
	case depth == maxDepth:
		return nil, fmt.Errorf("has lists in lists, deeper than %d", maxDepth)
	}
	for _, item := range o.Items {
		var err error
		if out, err = take(out, item, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}
