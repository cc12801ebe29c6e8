package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSmall bounds passwords, keys, ETKs and certificates.
const maxSmall = 1 << 20

// readSmall reads a file named by a flag, without white space at its end, which editors leave in passwords and keys. Binary
// ETKs end in zeros or in a signature; one that ends in a byte which looks like white space is read whole.
func readSmall(flag, path string) ([]byte, error) {
	f, err := openInput(flag, path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSmall+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", flag, pathless(err))
	case len(b) > maxSmall:
		return nil, usageError{fmt.Errorf("%s: too large", flag)}
	case len(b) > 0 && b[0] == 0x30 && bytes.ContainsRune(b, 0):
		return b, nil
	}
	return bytes.TrimRight(b, "\r\n"), nil
}

// openInput opens a regular file.
func openInput(flag, path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s: %w", flag, pathless(err))}
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = errors.New("is a directory")
	}
	if err != nil {
		_ = f.Close()
		return nil, usageError{fmt.Errorf("%s: %w", flag, pathless(err))}
	}
	return f, nil
}

// writeFile makes a file of mode 0600 of what content writes: whole or not at all.
func writeFile(path string, content func(io.Writer) error) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".ehealth-*") // mode 0600
	if err != nil {
		return usageError{fmt.Errorf("--out: %w", pathless(err))}
	}
	err = content(f)
	if err == nil {
		err = pathless(f.Sync())
	}
	err = errors.Join(err, pathless(f.Close()))
	if err == nil {
		err = pathless(os.Rename(f.Name(), path))
	}
	if err != nil {
		return errors.Join(err, pathless(os.Remove(f.Name())))
	}
	d, err := os.Open(dir)
	if err != nil {
		return pathless(err)
	}
	// Not every file system can sync a directory; the file itself is on disk.
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return errors.Join(pathless(err), d.Close())
	}
	return d.Close()
}

// pathless leaves out the path of an error, which may name a person.
func pathless(err error) error {
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", pe.Op, pe.Err)
	}
	if le, ok := errors.AsType[*os.LinkError](err); ok {
		return fmt.Errorf("%s: %w", le.Op, le.Err)
	}
	return err
}
