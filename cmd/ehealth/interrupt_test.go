package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// interrupted starts a drill, sends it a signal when it is under way, and wants it to end because of that, leaving nothing on disk.
// underWay returns when it is, or fails.
func interrupted(t *testing.T, sig syscall.Signal, code int, underWay func(dir string, out *bufio.Reader) error, args ...string) {
	t.Helper()
	dir := t.TempDir()
	var errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), binary, append([]string{"drill"}, args...)...)
	cmd.Env, cmd.Stderr = append(os.Environ(), "TMPDIR="+dir), &errs
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	if err := errors.Join(underWay(dir, r), cmd.Process.Signal(sig)); err != nil {
		t.Error(err, cmd.Process.Kill())
	}
	_, err = io.Copy(io.Discard, r)
	exit, is := errors.AsType[*exec.ExitError](errors.Join(err, cmd.Wait()))
	if !is || exit.ExitCode() != code || errs.String() != "ehealth: interrupted\n" {
		t.Errorf("ended with %v: %q", exit, errs.String())
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

// TestDrillInterrupted: a drill has minutes of work before it when it is told to end, and does so.
func TestDrillInterrupted(t *testing.T) {
	first := func(_ string, out *bufio.Reader) error {
		_, err := out.ReadString('\n')
		return err
	}
	incidents := []string{"INC-2020-01-20", "INC-2020-01-27-ACCESS", "INC-2020-01-28-RECIPE", "INC-2020-02-04-INS", "INC-2024-01-09-MCN", "INC-2026-02-04-ETK"}
	interrupted(t, syscall.SIGTERM, 143, first, append(incidents, "--fleet", "1")...)
}

// TestFiguresInterrupted: the processes that measure end with the one that started them, and what they had on disk is gone.
func TestFiguresInterrupted(t *testing.T) {
	writes := func(dir string, _ *bufio.Reader) error {
		for range 3000 {
			tops, err := os.ReadDir(dir)
			for _, top := range tops {
				below, _ := os.ReadDir(dir + "/" + top.Name()) // it may be gone by now
				for _, f := range below {
					if strings.HasPrefix(f.Name(), "figures") {
						return nil
					}
				}
			}
			if err != nil {
				return err
			}
			time.Sleep(10 * time.Millisecond) // until the processes are at it
		}
		return errors.New("nothing is written")
	}
	interrupted(t, syscall.SIGINT, 130, writes, "--figures", "--seeds", "40", "--only", "12,13")
}
