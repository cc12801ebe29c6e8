package oracle

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// toolTimeout bounds one run of a judge.
const toolTimeout = 3 * time.Minute

// absent skips the test, or fails it when CI=true.
func absent(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("oracle: %s (CI=true, nothing may be skipped)", reason)
	}
	t.Skipf("oracle: %s", reason)
}

// ModuleRoot returns the directory of the go.mod above the working directory.
func ModuleRoot(t testing.TB) string {
	t.Helper()
	start, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatalf("oracle: no go.mod above %s", start)
		}
	}
}

// Shared returns the path of a file or directory among the reference material
// (schemas, samples, vectors): below $EHEALTH_SHARED, or else below the
// directory "shared" beside the module. When it is not there, the test is
// skipped, or fails with CI=true.
func Shared(t testing.TB, elem ...string) string {
	t.Helper()
	base := os.Getenv("EHEALTH_SHARED")
	if base == "" {
		base = filepath.Join(filepath.Dir(ModuleRoot(t)), "shared")
	}
	path := filepath.Join(append([]string{base}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		absent(t, "no "+filepath.Join(elem...)+" in the shared material; set EHEALTH_SHARED")
	}
	return path
}

// Tool returns the path of a program. When it is not installed, the test is
// skipped, or fails with CI=true. With -short the test is skipped: a judge costs
// a process, and what it says does not depend on who runs at the same time.
func Tool(t testing.TB, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("oracle: no judges with -short")
	}
	path, err := exec.LookPath(name)
	if err != nil {
		absent(t, name+" is not installed")
	}
	return path
}

// run runs a program without network expectations and returns its standard
// output; the error holds what it said on standard error.
func run(t testing.TB, stdin []byte, path string, args ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), toolTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			t.Fatalf("oracle: %s: %v", filepath.Base(path), ctx.Err())
		}
		return stdout.Bytes(), errors.New(err.Error() + ": " + strings.TrimSpace(stderr.String()))
	}
	return stdout.Bytes(), nil
}

// tempFile writes a file that lives as long as the test.
func tempFile(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
