package serve

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"go.yaml.in/yaml/v3"
)

// The rules by which logins speak for nodes that need no file.
const (
	AnyNode    = "any"   // each login for all
	NamedNodes = "named" // each for the node of its name
)

const (
	everything  = "*" // as a node: all; as a login: those that are not named
	itsName     = "=" // the node of the login's own name
	maxRuleFile = 1 << 20
	nodePrefix  = "system:node:" // before the node's name in the certificates of kubelets
)

// Senders say which nodes a login speaks for, where whoever checks logins does not know it.
type Senders struct {
	rule  string
	nodes atomic.Pointer[map[string][]string] // by login; nil: all speak for all
}

// NewSenders reads a rule: any, named, or the path of a YAML file with a list of nodes for each login. In it "*" stands for all nodes, or for
// all logins that it does not name, and "=" for the node of the login's own name.
func NewSenders(rule string) (*Senders, error) {
	s := &Senders{rule: rule}
	return s, s.Read()
}

// Read reads the file again. What cannot be read leaves the last rules in force.
func (s *Senders) Read() error {
	switch s.rule {
	case "", AnyNode:
		return nil
	case NamedNodes:
		s.nodes.Store(&map[string][]string{everything: {itsName}})
		return nil
	}
	st, err := os.Stat(s.rule)
	if err == nil && (!st.Mode().IsRegular() || st.Size() > maxRuleFile) {
		err = fmt.Errorf("it is no file of at most %d bytes", maxRuleFile)
	}
	var raw []byte
	if err == nil {
		raw, err = os.ReadFile(s.rule)
	}
	var nodes map[string][]string
	if err == nil {
		nodes, err = parseSenders(raw)
	}
	if err != nil {
		return fmt.Errorf("cannot read which nodes senders speak for in %q: %w; want any, named, or a YAML file such as 'ann: [n1, n2]'", s.rule, err)
	}
	s.nodes.Store(&nodes)
	return nil
}

// parseSenders reads a file's text.
func parseSenders(raw []byte) (nodes map[string][]string, err error) {
	if err = yaml.Unmarshal(raw, &nodes); err == nil && len(nodes) == 0 {
		err = errors.New("it names no login")
	}
	return nodes, err
}

// bind gives a caller the nodes that it speaks for, unless it has some.
func (s *Senders) bind(c *Caller) {
	if s == nil || c.Nodes != nil {
		return
	}
	all := s.nodes.Load()
	if all == nil {
		return
	}
	list, ok := (*all)[c.Name]
	if !ok || c.Name == everything {
		list = (*all)[everything]
	}
	if slices.Contains(list, everything) {
		return
	}
	c.Nodes = []string{}
	for _, node := range list {
		switch {
		case node != itsName:
			c.Nodes = append(c.Nodes, node)
		case c.Name != "":
			c.Nodes = append(append(c.Nodes, strings.TrimPrefix(c.Name, nodePrefix)), c.Extra[dnsNames]...)
		}
	}
}
