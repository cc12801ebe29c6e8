package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/ehealth-continuity/ehealth"
)

// Exit codes as documented.
const (
	done        = 0
	usage       = 2
	refused     = 3
	unavailable = 4
	unknown     = 5
)

var (
	binary string   // the command, built once
	shared *process // a sandbox that the tests share
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err == nil && code == 0 {
		http.DefaultClient.CloseIdleConnections()
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cmd/ehealth:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "ehealth-cmd")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "ehealth")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("go build: %w\n%s", err, out)
	}
	if shared, err = startSandbox(filepath.Join(dir, "sandbox")); err != nil {
		return 1, err
	}
	code = m.Run()
	return code, shared.stop()
}

// process is a sandbox in a process of its own.
type process struct {
	cmd   *exec.Cmd
	out   *bufio.Reader
	err   bytes.Buffer
	line  string // the ready line
	ready struct {
		Ready  bool   `json:"ready"`
		Config string `json:"config"`
		CA     string `json:"ca"`
		Admin  string `json:"admin"`
	}
	ended func() error
}

func startSandbox(dir string) (*process, error) {
	p := &process{cmd: exec.Command(binary, "sandbox", "--dir", dir, "--addr", "127.0.0.1:0")}
	p.cmd.Stderr = &p.err
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	p.ended = sync.OnceValue(func() error {
		if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
			return err
		}
		rest, err := io.ReadAll(p.out)
		if err := errors.Join(err, p.cmd.Wait()); err != nil {
			return fmt.Errorf("sandbox ended with %w: %s", err, p.err.String())
		}
		if len(rest)+p.err.Len() > 0 {
			return fmt.Errorf("sandbox wrote more than its ready line: %q, %q", rest, p.err.String())
		}
		return nil
	})
	if p.line, err = p.out.ReadString('\n'); err != nil {
		return nil, errors.Join(err, p.ended())
	}
	if err := json.Unmarshal([]byte(p.line), &p.ready); err != nil {
		return nil, errors.Join(err, p.ended())
	}
	return p, nil
}

// stop interrupts the sandbox and waits for its end, which must be a clean one.
func (p *process) stop() error { return p.ended() }

// admin calls the sandbox's admin API.
func (p *process) admin(t *testing.T, method, path, body string) {
	t.Helper()
	req, err := http.NewRequest(method, p.ready.Admin+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s", method, path, resp.Status)
	}
}

// inject starts a fault script for the length of a test.
func (p *process) inject(t *testing.T, script string) {
	t.Helper()
	p.admin(t, http.MethodPost, "/admin/faults", script)
	t.Cleanup(func() { p.admin(t, http.MethodDelete, "/admin/faults", "") })
}

// result is what a command did.
type result struct {
	code     int
	out, err string
}

// call runs the command to its end. A command that fails must tell nobody's secrets.
func call(t *testing.T, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	exit, isExit := errors.AsType[*exec.ExitError](err)
	if err != nil && !isExit {
		t.Fatal(err)
	}
	r := result{out: out.String(), err: errs.String()}
	if isExit {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			t.Fatalf("ended by signal %v", status.Signal())
		}
		r.code = exit.ExitCode()
	}
	private(t, r.out+r.err)
	return r
}

// as runs a client command against the shared sandbox.
func as(t *testing.T, role string, args ...string) result {
	t.Helper()
	args = append(args, "--config", shared.ready.Config)
	if role != "" {
		args = append(args, "--as", role)
	}
	return call(t, args...)
}

// environment is what the tests read from sandbox.json.
type environment struct {
	ehealth.File
	Organisations []ehealth.FilePerson `json:"organisations"`
	Patients      []struct {
		SSIN      string `json:"ssin"`
		FirstName string `json:"firstName"`
		LastName  string `json:"lastName"`
		Birth     string `json:"birth"`
	} `json:"patients"`
}

var sandboxJSON = sync.OnceValues(func() (e environment, err error) {
	b, err := os.ReadFile(shared.ready.Config)
	if err != nil {
		return e, err
	}
	return e, json.Unmarshal(b, &e)
})

func file(t *testing.T) environment {
	t.Helper()
	e, err := sandboxJSON()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var elevenDigits = regexp.MustCompile(`(?:^|[^0-9A-Za-z])[0-9]{11}(?:[^0-9A-Za-z]|$)`)

// private fails the test when a text holds a password, a token, or anybody's number or name.
func private(t *testing.T, text string) {
	t.Helper()
	e := file(t)
	secrets := []string{e.Identity.Password, "Assertion", "BEGIN", "SignatureValue"}
	for _, p := range append(e.People, e.Organisations...) {
		secrets = append(secrets, p.Caller.SSIN, p.Caller.NIHII, p.Caller.Name)
	}
	for _, p := range e.Patients {
		secrets = append(secrets, p.SSIN)
	}
	for _, s := range secrets {
		if s != "" && strings.Contains(text, s) {
			t.Errorf("the output holds a secret of %d characters", len(s))
		}
	}
	if elevenDigits.MatchString(text) {
		t.Error("the output holds eleven digits")
	}
}

// rewritten is sandbox.json with something changed, in a file of its own.
func rewritten(t *testing.T, change func(doc map[string]any)) string {
	t.Helper()
	b, err := os.ReadFile(shared.ready.Config)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(shared.ready.Config)
	doc["ca"] = filepath.Join(dir, "ca.pem")
	doc["trust"] = map[string]any{"sts": filepath.Join(dir, "ca.pem")}
	id := doc["identity"].(map[string]any)
	id["keystore"] = filepath.Join(dir, id["keystore"].(string))
	change(doc)
	if b, err = json.Marshal(doc); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
