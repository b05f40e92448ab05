package access

import (
	"fmt"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// New makes both for one API server.
func New(config *rest.Config) (*Authenticator, *Authorizer, error) {
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
