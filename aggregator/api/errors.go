package api

import (
	"net/http"

	"plimsoll.dev/plimsoll/internal/serve"
)

func badRequest(format string, args ...any) error {
	return serve.Errorf(http.StatusBadRequest, format, args...)
}

func notFound(format string, args ...any) error {
	return serve.Errorf(http.StatusNotFound, format, args...)
}

func unavailable(format string, args ...any) error {
	return serve.Errorf(http.StatusServiceUnavailable, format, args...)
}
