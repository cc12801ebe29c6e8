package fault

import (
	"net/http"
	"strings"
	"time"
)

// HTTPStatus judges an HTTP answer by its status. soapBody says whether the
// body is a SOAP envelope: then the body decides, whatever the status, and the
// rule has ByBody set (the rest of it is what to assume when the body turns out
// to hold no fault that can be read). Dossier 01 section E.3, 06 section A.0.2.
func HTTPStatus(status int, soapBody bool) Rule {
	if soapBody {
		return soapStatus(status)
	}
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return Rule{Kind: Denied, Outcome: Rejected, Action: ActionAskRight}
	case http.StatusTooManyRequests:
		return Rule{
			Kind: Throttled, Outcome: Rejected, Retry: RetryWithBackoff, Switch: SwitchYes, HonourRetryAfter: true, Action: ActionRetry,
		}
	case http.StatusServiceUnavailable:
		return Rule{
			Kind: Unavailable, Outcome: Rejected, Retry: RetryWithBackoff, Switch: SwitchYes, HonourRetryAfter: true, Action: ActionRetry,
		}
	case http.StatusRequestTimeout:
		return Rule{Kind: Timeout, Outcome: Unknown, Retry: RetryReadsOnly, Switch: SwitchReadsOnly, Action: ActionRetryReads}
	}
	switch {
	case status >= 500 && status <= 599: // 500, 502, 504 and what else a gateway invents
		return Rule{Kind: Unavailable, Outcome: Unknown, Retry: RetryReadsOnly, Switch: SwitchReadsOnly, Action: ActionRetryReads}
	case status >= 400 && status <= 499: // 400, 404, 405, 415: this address does not serve this operation
		return Rule{Kind: Protocol, Outcome: Rejected, MarkBad: true, Action: ActionFixEndpoint}
	}
	// A page instead of SOAP under 200, a redirect, or no HTTP at all: something
	// stands between us and the service, and the service may still have worked.
	return Rule{Kind: Protocol, Outcome: Unknown, Retry: RetryReadsOnly, Switch: SwitchReadsOnly, Action: ActionRetryReads}
}

func soapStatus(status int) Rule {
	if status >= 200 && status <= 299 {
		return Rule{Outcome: Done, ByBody: true}
	}
	r := soaTable[0].Rule
	r.ByBody = true
	r.HonourRetryAfter = status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests
	return r
}

// MaxRetryAfter bounds what ParseRetryAfter returns: a wrong header must not
// silence a client for a day.
const MaxRetryAfter = time.Hour

// ParseRetryAfter reads a Retry-After header, in seconds or as an HTTP date
// (RFC 9110 section 10.2.3). The result is at least 0 and at most
// MaxRetryAfter; ok is false when the header is absent or cannot be read.
func ParseRetryAfter(header string, now time.Time) (d time.Duration, ok bool) {
	header = strings.TrimSpace(header)
	if header == "" || len(header) > 64 {
		return 0, false
	}
	if d, ok := deltaSeconds(header); ok {
		return d, true
	}
	t, err := http.ParseTime(header)
	if err != nil {
		return 0, false
	}
	return min(max(t.Sub(now), 0), MaxRetryAfter), true
}

// deltaSeconds reads digits only: no sign, no fraction, no overflow.
func deltaSeconds(s string) (time.Duration, bool) {
	var d time.Duration
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		d = min(d*10+time.Duration(s[i]-'0')*time.Second, MaxRetryAfter)
	}
	return d, true
}
