package access

import (
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// New makes both for one API server. How much is asked at once is bounded here, by the callers that wait and the namespaces that are asked about
// at a time; a limit of the client's beside it would let one who sees little keep all others waiting.
func New(config *rest.Config) (*Authenticator, *Authorizer, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a client of the API server: %w", err)
	}
	who, err := newAuthenticator(client)
	if err != nil {
		return nil, nil, err
	}
	may, err := newAuthorizer(client)
	return who, may, err
}
