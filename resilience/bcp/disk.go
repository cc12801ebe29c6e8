package bcp

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// staleTemp is the age at which a file that a process left half written is removed.
const staleTemp = time.Hour

const tempPattern = ".servicelist-*.tmp"

// fileName is the name of the stored list of an environment: its letters and digits, in lower case.
func fileName(environment string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(environment) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteRune(c)
		}
	}
	return "servicelist-" + b.String() + ".xml"
}

// readFile reads a stored list; nil without error when there is none.
func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	case !info.Mode().IsRegular(): // reading a pipe would block
		return nil, fmt.Errorf("%w: not a regular file", ErrStore)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	}
	defer f.Close()
	doc, err := io.ReadAll(io.LimitReader(f, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrStore, err)
	}
	return doc, nil
}

// writeFile replaces a stored list in one step: after a crash the former one is there, or the new one.
func writeFile(path string, doc []byte) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	f, err := os.CreateTemp(dir, tempPattern) // mode 0600
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStore, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name())
			err = fmt.Errorf("%w: %w", ErrStore, err)
		}
	}()
	if _, err = f.Write(doc); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	// The rename itself lasts once the directory is written. Where that is not possible (Windows) nothing is lost but
	// the newest list in a power cut.
	if h, e := os.Open(dir); e == nil {
		_ = h.Sync()
		_ = h.Close()
	}
	return nil
}

// removeStale removes what crashed processes left.
func removeStale(dir string, now time.Time) {
	left, _ := filepath.Glob(filepath.Join(dir, tempPattern))
	for _, path := range left {
		if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && now.Sub(info.ModTime()) > staleTemp {
			_ = os.Remove(path)
		}
	}
}
