package influx

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"
)

// class is what an answer to a write means, and so what is done.
type class uint8

const (
	stored       class = iota // go on
	unreachable               // no answer: try again, ever later
	slow                      // no answer within the deadline: the same, with less at once
	busy                      // 429 and 5xx: the same, not before the server says
	unauthorized              // 401: the rest of the configuration's faults are tried every 30 to 60 s
	forbidden                 // 403
	noOrg                     // 404, the organization
	noBucket                  // 404, the bucket, database or retention policy
	limited                   // a limit that the operator has set: of series, of a tag's values, of a plan
	oversized                 // 413, for one line alone
	notInflux                 // another kind of server, or a redirection
	tooLarge                  // 413: halve
	beyond                    // points older than the retention: count, go on
	conflict                  // some lines refused for ever: find and set them aside
	unparsable                // the same, for lines that the server cannot read
	refused                   // any other 4xx: try again slowly, and find out whether it is about lines
	numClasses
)

var classNames = [numClasses]string{"stored", "unreachable", "timeout", "busy", "unauthorized", "forbidden", "no_org", "no_bucket", "limit", "line_too_large", "not_influxdb",
	"too_large", "beyond_retention", "partial_write", "unparsable", "refused"}

func (c class) String() string { return classNames[c] }

// configuration says whether somebody has to change something before it can work.
func (c class) configuration() bool { return c >= unauthorized && c <= notInflux }

// answer is a server's answer to a write, understood.
type answer struct {
	class   class
	wait    time.Duration // as the server asked, at least
	message string        // the server's words, or what happened
	status  int           // zero: there was no answer
	dropped int           // points that the server says it refused; -1: it does not say
}

// maxWait bounds what a server can ask for.
const maxWait = 10 * time.Minute

// classify understands the error of a write; now is for dates in Retry-After.
func classify(err error, now time.Time) answer {
	if err == nil {
		return answer{class: stored}
	}
	var e *influxhttp.Error
	if !errors.As(err, &e) || e.StatusCode == 0 {
		return answer{class: withoutAnswer(err), message: explain(err), dropped: -1}
	}
	a := answer{message: strings.TrimSpace(e.Message), status: e.StatusCode, dropped: -1}
	if a.message == "" && e.Header.Get("X-Influxdb-Error") != "" {
		a.message = e.Header.Get("X-Influxdb-Error")
	}
	if a.message == "" {
		a.message = http.StatusText(e.StatusCode)
	}
	a.message = clip(a.message, 1000)
	a.class = byStatus(e.StatusCode, strings.ToLower(a.message))
	if a.class == busy {
		a.wait = retryAfter(e.Header.Get("Retry-After"), now)
	}
	if a.class == conflict || a.class == beyond {
		a.dropped = droppedIn(a.message)
	}
	return a
}

func byStatus(status int, message string) class {
	has := func(s string) bool { return strings.Contains(message, s) }
	missing := has("not found") && (has("database") || has("bucket") || has("retention policy") || has("namespace"))
	switch {
	case status == http.StatusUnauthorized:
		return unauthorized
	case status == http.StatusForbidden:
		return forbidden
	case has("organization") && has("not found"):
		return noOrg
	case missing:
		return noBucket
	case status == http.StatusNotFound: // before 1.8 there was no such path
		return notInflux
	case status == http.StatusRequestEntityTooLarge || has("request entity too large"):
		return tooLarge
	case status >= 300 && status < 400 || status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented:
		return notInflux
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || has("hinted handoff queue not empty"):
		return busy
	case has("unable to parse") || has("parsing failed") || has("could not parse"):
		return unparsable // also inside of a partial write
	case has("retention policy") && (has("points beyond") || has("dropped")):
		return beyond
	case status == http.StatusPaymentRequired || status < 500 && atLimit(message):
		return limited
	case has("partial write") || has("field type conflict") || status == http.StatusUnprocessableEntity:
		return conflict
	case status >= 500:
		return busy
	}
	return refused
}

// limits is how servers say that a limit of theirs is reached, which an operator can raise: 1.x names its setting, InfluxDB 3 says what
// "would exceed" what, Cloud speaks of quotas and plans. What stands in quotes is the data's. A key that is too long is the line's fault.
var (
	limits = regexp.MustCompile(`max-[a-z-]+|limit exceeded|would exceed|exceeded .*(limit|plan|quota)|quota|limit .*reached|cardinality`)
	quoted = regexp.MustCompile(`"[^"]*"|'[^']*'`)
)

func atLimit(message string) bool {
	return !strings.Contains(message, "field type conflict") && limits.MatchString(quoted.ReplaceAllString(message, ""))
}

// setting is the name of 1.x's setting in a message; "" if there is none.
func setting(message string) string {
	return settingName.FindString(quoted.ReplaceAllString(message, ""))
}

var settingName = regexp.MustCompile(`max-[a-z-]+`)

// withoutAnswer tells why there was no answer.
func withoutAnswer(err error) class {
	var n net.Error
	switch {
	case errors.Is(err, errNotInflux):
		return notInflux
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &n) && n.Timeout():
		return slow
	}
	return unreachable
}

// explain says in words why a server cannot be reached.
func explain(err error) string {
	var (
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case errors.Is(err, errNotInflux):
		return "something else than InfluxDB listens there: " + err.Error()
	case errors.As(err, &dns):
		return fmt.Sprintf("the host %q is not known", dns.Name)
	case errors.As(err, &unknown):
		return "TLS: the server's certificate is signed by an authority that is not trusted here (the variable SSL_CERT_FILE names a file with one that is)"
	case errors.As(err, &host):
		return "TLS: the server's certificate is for another name: " + host.Error()
	case errors.As(err, &invalid):
		return "TLS: the server's certificate does not hold: " + invalid.Error()
	case errors.As(err, &record), strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return "TLS: the server speaks plain HTTP; the URL should begin with http://"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there (connection refused)"
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer within the deadline"
	}
	return clip(err.Error(), 500)
}

// droppedCount is how servers say how many points they refused: "partial write: ... dropped=3", "dropped 3 points outside".
var droppedCount = regexp.MustCompile(`dropped[= ](\d+)`)

func droppedIn(message string) int {
	m := droppedCount.FindStringSubmatch(message)
	if m == nil {
		return -1
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return -1
	}
	return n
}

// retryAfter reads both forms of the header: seconds, and a date. What it cannot read is zero.
func retryAfter(v string, now time.Time) time.Duration {
	v = strings.TrimSpace(v)
	if v == "" {
		return 0
	}
	if n, err := strconv.ParseFloat(v, 64); err == nil {
		if n > 0 && n < maxWait.Seconds() {
			return time.Duration(n * float64(time.Second))
		}
		if n > 0 {
			return maxWait
		}
		return 0
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(at.Sub(now), 0), maxWait)
	}
	return 0
}

func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
