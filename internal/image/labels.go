package image

// Labels are those of Plimsoll's own image, which the Dockerfile gives too.
func Labels(version, revision string) map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":       "plimsoll",
		"org.opencontainers.image.description": "Container monitoring and automatic horizontal scaling, in one binary",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.url":         "https://plimsoll.dev",
		"org.opencontainers.image.version":     version,
		"org.opencontainers.image.revision":    revision,
	}
}

// Dir is the folder of Plimsoll's own image in which it keeps its data.
const Dir = "/var/lib/plimsoll"
