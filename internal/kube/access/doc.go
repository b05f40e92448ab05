// Package access asks the API server of a cluster who sends a request and what they may do: TokenReview for tokens, SubjectAccessReview for
// rights, and for what the API server passes on by itself (aggregation) the names in its headers, believed from its own certificate alone.
package access
