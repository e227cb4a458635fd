package telemetry

import "net/http"

// Operation is what callers ask for that may be refused.
type Operation string

// The operations on secrets.
const (
	Create   Operation = "create"
	Retrieve Operation = "retrieve"
)

// Refused counts a request that was refused, by the status of its answer.
func (m *Metrics) Refused(operation Operation, status int) {
	m.refused.WithLabelValues(string(operation), operation.reason(status)).Inc()
}

// reason names what a status means for the operation. All that is wrong with a request itself is one reason.
func (o Operation) reason(status int) string {
	switch status {
	case http.StatusUnauthorized:
		if o == Create {
			return "token"
		}
		return "passphrase"
	case http.StatusForbidden:
		return "restricted"
	case http.StatusNotFound:
		return "not_found"
	case http.StatusGone:
		return "gone"
	case http.StatusRequestTimeout:
		return "slow"
	case http.StatusRequestEntityTooLarge:
		return "size"
	case http.StatusTooManyRequests:
		if o == Create {
			return "quota"
		}
		return "guesses"
	case http.StatusNotImplemented:
		return "unsupported"
	case http.StatusInsufficientStorage:
		return "full"
	}
	if status >= http.StatusInternalServerError {
		return "unavailable"
	}
	return "invalid"
}

// reasons lists all that an operation is refused for.
func (o Operation) reasons() []string {
	if o == Create {
		return []string{"token", "invalid", "slow", "size", "quota", "unsupported", "full", "unavailable"}
	}
	return []string{"passphrase", "restricted", "not_found", "gone", "guesses", "invalid", "unavailable"}
}
