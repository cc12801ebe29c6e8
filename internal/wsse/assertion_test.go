package wsse_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/ehealth-continuity/ehealth/internal/wsse"
)

// TestAssertion: a token that was read once is in every message as it was, whatever becomes of the octets that it was read from.
func TestAssertion(t *testing.T) {
	own := assertion(ec())
	given := []byte(own)
	a, err := wsse.NewAssertion(given, assertionID)
	if err != nil {
		t.Fatal(err)
	}
	clear(given)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 3 {
				m, err := a.HolderOfKey([]byte(payload), ec().cred, wsse.Stamp{Now: now})
				if err != nil {
					t.Error(err)
					return
				}
				if !strings.Contains(string(m), "</wsu:Timestamp>"+own+"<ds:Signature ") || !strings.Contains(string(m), ">"+payload+"</soapenv:Body>") {
					t.Error("payload or assertion rewritten, or out of place")
				}
				if v, err := verify(t, string(m), now); err != nil || v.Profile != wsse.HolderOfKeyToken {
					t.Errorf("%v", err)
				}
			}
		})
	}
	wg.Wait()
	if m, err := a.HolderOfKey([]byte("<a/></soapenv:Body><soapenv:Body><b/>"), ec().cred, wsse.Stamp{Now: now}); !errors.Is(err, wsse.ErrShape) || m != nil {
		t.Errorf("a payload that leaves the body: %v", err)
	}
	if m, err := a.HolderOfKey([]byte(payload), wsse.Credential{}, wsse.Stamp{Now: now}); !errors.Is(err, wsse.ErrCredential) || m != nil {
		t.Errorf("no credential: %v", err)
	}
	if !a.Is([]byte(own), assertionID) || a.Is(given, assertionID) || a.Is([]byte(own), "_other") || a.Is(nil, "") || (*wsse.Assertion)(nil).Is(nil, "") {
		t.Error("taken for another one, or not for itself")
	}
}

// TestNewAssertionRefuses: only one element that needs nothing around it can be put into a message unseen.
func TestNewAssertionRefuses(t *testing.T) {
	own := assertion(ec())
	for name, token := range map[string]string{
		"nothing":               "",
		"unclosed":              strings.TrimSuffix(own, "</Assertion>"),
		"two":                   own + own,
		"an element before":     "<a/>" + own,
		"text after":            own + "x",
		"white space before":    "\n" + own,
		"white space after":     own + " ",
		"comment before":        "<!-- x -->" + own,
		"comment after":         own + "<!-- x -->",
		"instruction":           "<?x y?>" + own,
		"XML declaration":       `<?xml version="1.0"?>` + own,
		"byte order mark":       "\uFEFF" + own,
		"DOCTYPE":               "<!DOCTYPE Assertion>" + own,
		"leaves the header":     own + "</wsse:Security><wsse:Security>",
		"leans on the envelope": strings.Replace(own, "<Assertion ", `<Assertion wsu:Id="x" `, 1),
		"control character":     strings.Replace(own, "<Assertion ", "<Assertion x=\"\x00\" ", 1),
	} {
		if a, err := wsse.NewAssertion([]byte(token), assertionID); !errors.Is(err, wsse.ErrShape) || a != nil {
			t.Errorf("%s: %v", name, err)
		}
		if m, err := wsse.HolderOfKey([]byte(payload), []byte(token), assertionID, ec().cred, wsse.Stamp{Now: now}); !errors.Is(err, wsse.ErrShape) || m != nil {
			t.Errorf("%s, in a message: %v", name, err)
		}
	}
	if a, err := wsse.NewAssertion([]byte(own), "_other"); !errors.Is(err, wsse.ErrToken) || a != nil {
		t.Errorf("another id: %v", err)
	}
	if a, err := wsse.NewAssertion([]byte("<a AssertionID='x'/>"), "x"); !errors.Is(err, wsse.ErrToken) || a != nil {
		t.Errorf("another element: %v", err)
	}
}
