package ehealth_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/ehealth-continuity/ehealth"

// wire names the packages that know formats and nothing else.
var wire = []string{
	"internal/xmltree", "internal/c14n", "internal/dsig", "internal/wsse", "internal/saml", "internal/soap", "internal/p12",
	"internal/cms", "internal/mime",
}

// house says what each part of the module may import of the module itself: arrows only go down.
// A name stands for the package and everything below it. A part that is not named fails the test,
// so that a new package must find its place.
var house = []struct {
	part string
	may  []string
}{
	{"internal/oracle", nil},
	{"identity", nil},
	{"fault", nil},
	{"keystore", []string{"internal/p12", "identity", "fault"}},
	{"cache", []string{"fault"}},
	{"internal/redact", []string{"fault"}},
	{"internal/crashtest/fail", nil},
	{"internal/crashtest", []string{"*"}},
	{"internal/pgtest", nil},
	{"internal/appclient", append([]string{"internal/exchange", "resilience", "sts", "fault"}, wire...)},
	{"resilience/outbox", []string{"resilience", "cache", "fault", "internal/crashtest/fail"}},
	{"internal/telemetry", []string{"resilience", "internal/redact", "fault"}},
	{"resilience/notice", []string{"fault"}},
	{"resilience/bcp", append([]string{"resilience", "fault"}, wire...)},
	{"resilience", []string{"fault"}},
	{"internal/exchange", append([]string{"resilience", "fault"}, wire...)},
	{"sts", append([]string{"internal/exchange", "resilience", "keystore", "cache", "identity", "fault"}, wire...)},
	{"etee", append([]string{"internal/exchange", "resilience", "keystore", "cache", "sts", "identity", "fault"}, wire...)},
	{"insurability", append([]string{"internal/exchange", "resilience", "sts", "cache", "identity", "fault"}, wire...)},
	{"ehbox", append([]string{"etee", "internal/exchange", "resilience", "keystore", "cache", "sts", "identity", "fault"}, wire...)},
	{"recipe/kmehr", []string{"internal/xmltree", "identity", "fault"}},
	{"recipe/protocol", []string{"internal/xmltree", "identity", "fault"}},
	{"recipe/paper", []string{"recipe", "identity", "fault"}},
	{"recipe", append([]string{"etee", "internal/exchange", "resilience", "keystore", "cache", "sts", "identity", "fault"}, wire...)},
	{"postgres", []string{"resilience/outbox", "cache", "sts", "fault", "internal/crashtest/fail"}},
	{"sandbox", append([]string{"identity", "fault"}, wire...)},
	{"integration", []string{"", "identity", "fault", "insurability", "ehbox", "recipe", "etee", "sts", "keystore", "resilience", "cache", "sandbox"}},
	{"examples", []string{"", "identity", "fault", "insurability", "ehbox", "recipe", "etee", "sts", "keystore", "resilience", "cache", "postgres", "sandbox", "internal/pgtest"}},
	{"drill", []string{"*"}},
	{"cmd", []string{"*"}},
	{"", []string{"sts", "insurability", "ehbox", "recipe", "etee", "cache", "internal/telemetry", "internal/exchange", "resilience", "keystore", "identity", "fault", "internal/wsse", "internal/saml", "internal/xmltree", "internal/c14n"}},
}

// dependencies says which packages outside the standard library a part may import; what is
// not named here may import none.
var dependencies = map[string][]string{
	"keystore":           {"golang.org/x/crypto", "software.sslmate.com/src/go-pkcs12", "github.com/ThalesGroup/crypto11"},
	"resilience":         {"golang.org/x/time", "github.com/cenkalti/backoff/v4"},
	"resilience/bcp":     {"golang.org/x/sync"},
	"resilience/outbox":  {"go.etcd.io/bbolt", "golang.org/x/crypto"},
	"":                   {"go.opentelemetry.io/otel"},
	"internal/telemetry": {"go.opentelemetry.io/otel"},
	"internal/crashtest": {"go.etcd.io/bbolt", "github.com/jackc/pgx/v5"},
	"cache":              {"golang.org/x/crypto", "golang.org/x/sys", "github.com/hashicorp/golang-lru/v2", "go.etcd.io/bbolt"},
	"postgres":           {"github.com/jackc/pgx/v5", "golang.org/x/crypto"},
	"examples":           {"github.com/jackc/pgx/v5"},
	"internal/pgtest":    {"github.com/jackc/pgx/v5"},
	"internal/exchange":  {"golang.org/x/sync"},
	"sts":                {"golang.org/x/sync"},
	"sandbox":            {"github.com/russellhaering/goxmldsig", "github.com/beevik/etree"},
	"cmd":                {"github.com/alecthomas/kong", "golang.org/x/term"},
	"drill":              {"golang.org/x/sync"},
	"recipe/paper":       {"codeberg.org/go-pdf/fpdf", "github.com/boombuler/barcode"},
	"recipe":             {"github.com/hashicorp/golang-lru/v2", "golang.org/x/sync"},
}

type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

func TestImportsOnlyGoDown(t *testing.T) {
	for _, p := range list(t) {
		rel := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		part, may, ok := place(rel)
		if !ok {
			t.Errorf("package %q has no place in the house", rel)
			continue
		}
		for _, imp := range p.Imports {
			switch {
			case imp == module || strings.HasPrefix(imp, module+"/"):
				to := strings.TrimPrefix(strings.TrimPrefix(imp, module), "/")
				if !below(to, part) && !allowed(to, may) {
					t.Errorf("%q imports %q", rel, to)
				}
			case strings.Contains(strings.Split(imp, "/")[0], "."):
				may := dependencies[part]
				if slices.Contains(wire, part) {
					may = []string{"golang.org/x/crypto"}
				}
				if !external(imp, may) {
					t.Errorf("%q imports %q: not in its list of dependencies", rel, imp)
				}
			}
		}
	}
}

// place finds the part of the house a package belongs to: the longest name that fits.
func place(rel string) (part string, may []string, ok bool) {
	if slices.Contains(wire, rel) {
		return rel, wire, true
	}
	for _, h := range house {
		if below(rel, h.part) && (h.part != "" || rel == "") {
			return h.part, h.may, true
		}
	}
	return "", nil, false
}

func allowed(to string, may []string) bool {
	return slices.ContainsFunc(may, func(m string) bool {
		return m == "*" || m == to || m != "" && below(to, m)
	})
}

func below(p, dir string) bool { return p == dir || dir != "" && strings.HasPrefix(p, dir+"/") }

func external(imp string, may []string) bool {
	return slices.ContainsFunc(may, func(m string) bool { return below(path.Clean(imp), m) })
}

func list(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports", "./...").Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.ImportPath == module || strings.HasPrefix(p.ImportPath, module+"/") {
			all = append(all, p)
		}
	}
	if len(all) < 10 {
		t.Fatalf("go list found only %d packages of the module", len(all))
	}
	return all
}
