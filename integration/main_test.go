package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// variable names the environment file.
const variable = "EHEALTH_ENVIRONMENT"

// env is the environment under test.
var env environment

type environment struct {
	path  string // of the configuration file
	own   bool   // the tests started the sandbox themselves
	facts facts
}

// facts is what the tests read from the file beside the configuration.
type facts struct {
	Environment   string               `json:"environment"`
	Admin         string               `json:"admin"`
	People        []ehealth.FilePerson `json:"people"`
	Organisations []ehealth.FilePerson `json:"organisations"`
	Patients      []struct {
		SSIN     string           `json:"ssin"`
		Scenario sandbox.Scenario `json:"scenario"`
	} `json:"patients"`
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "integration:", err)
		code = 1
	}
	if code == 0 {
		http.DefaultClient.CloseIdleConnections()
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "integration:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	env.path = os.Getenv(variable)
	if env.path == "" {
		dir, err := os.MkdirTemp("", "ehealth-integration")
		if err != nil {
			return 1, err
		}
		defer os.RemoveAll(dir)
		sb, err := sandbox.New(sandbox.Config{Seed: 1, Listen: "127.0.0.1:0"})
		if err != nil {
			return 1, err
		}
		defer sb.Close()
		if err := sb.WriteEnvironment(dir); err != nil {
			return 1, err
		}
		env.path, env.own = filepath.Join(dir, "sandbox.json"), true
	}
	b, err := os.ReadFile(env.path)
	if err != nil {
		return 1, err
	}
	if err := json.Unmarshal(b, &env.facts); err != nil {
		return 1, fmt.Errorf("%s: not the JSON that the package comment describes", variable)
	}
	return m.Run(), nil
}

// inSandbox tells whether the environment is a sandbox, ours or another process.
func inSandbox() bool { return env.facts.Environment == "sandbox" && env.facts.Admin != "" }

// skip skips a test with a reason, except in a run against our own sandbox, where nothing may be skipped.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if env.own {
		t.Fatalf("skipped against the sandbox of the tests: "+format, args...)
	}
	t.Skipf(format, args...)
}

// needSandbox skips tests that drive the platform.
func needSandbox(t *testing.T) {
	t.Helper()
	if !inSandbox() {
		skip(t, "needs the admin API of a sandbox; %s names another environment", variable)
	}
}

// open opens the platform in a role; "" is the caller of the file. change may be nil.
func open(t *testing.T, role string, change func(*ehealth.Config)) *ehealth.Platform {
	t.Helper()
	cfg := config(t, role)
	if change != nil {
		change(&cfg)
	}
	p, err := ehealth.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// config loads the configuration for a role of the file's people or organisations; "" is the caller of the file.
func config(t *testing.T, role string) ehealth.Config {
	t.Helper()
	found := role == ""
	for _, p := range append(slices.Clone(env.facts.People), env.facts.Organisations...) {
		found = found || p.Role == role
	}
	if !found {
		skip(t, "the environment has nobody with the role %s", role)
	}
	return load(t, role)
}

func load(t *testing.T, role string) ehealth.Config {
	t.Helper()
	cfg, err := ehealth.LoadConfigAs(env.path, role)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// patient is the environment's patient for a scenario.
func patient(t *testing.T, sc sandbox.Scenario) identity.SSIN {
	t.Helper()
	for _, p := range env.facts.Patients {
		if p.Scenario == sc {
			ssin, err := identity.ParseSSIN(p.SSIN)
			if err != nil {
				t.Fatalf("the patient of scenario %s: %v", sc, err)
			}
			return ssin
		}
	}
	skip(t, "the environment names no patient for the scenario %s", sc)
	return identity.SSIN{}
}

// inject starts a fault script for the length of the test, or until cancel is called.
func inject(t *testing.T, script string) (cancel func()) {
	t.Helper()
	needSandbox(t)
	var run struct {
		ID          string   `json:"id"`
		Unsupported []string `json:"unsupported"`
	}
	admin(t, http.MethodPost, "/admin/faults", script, http.StatusCreated, &run)
	if len(run.Unsupported) > 0 {
		t.Fatalf("the sandbox cannot do %q", run.Unsupported)
	}
	cancel = sync.OnceFunc(func() { admin(t, http.MethodDelete, "/admin/faults/"+run.ID, "", http.StatusNoContent, nil) })
	t.Cleanup(cancel)
	return cancel
}

// state is what the sandbox counted.
type state struct {
	Requests map[string]int            `json:"requests"`
	Effects  map[string]int            `json:"effects"`
	Counters map[string]int            `json:"counters"`
	Hits     map[string]map[string]int `json:"hits"`
}

func counted(t *testing.T) (s state) {
	t.Helper()
	needSandbox(t)
	admin(t, http.MethodGet, "/admin/state", "", http.StatusOK, &s)
	return s
}

// admin calls the admin API. It outlives the test's context, because cleaning up happens after it.
func admin(t *testing.T, method, path, body string, status int, out any) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, method, env.facts.Admin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err == nil && resp.StatusCode != status {
		err = errors.New(resp.Status + " " + string(b))
	}
	if err == nil && out != nil {
		err = json.Unmarshal(b, out)
	}
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
}
