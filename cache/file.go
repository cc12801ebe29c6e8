package cache

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// The steps of a write, in their order; a process may die after each.
const (
	stepCreated = "created" // an empty temporary file
	stepHalf    = "half"    // with half of the content
	stepWritten = "written" // with all of it
	stepSynced  = "synced"  // on disk
	stepRenamed = "renamed" // in place
	stepDone    = "done"    // and the directory on disk
)

// write replaces the file at path by one with this content, whole or not at all.
func (v *Vault) write(path string, content []byte) error {
	tmp, err := writeTemp(v.dir, filepath.Base(path), content, v.step)
	if err != nil {
		return clean("writing a record", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		_ = os.Remove(tmp)
		return clean("writing a record", err)
	}
	v.step(stepRenamed)
	if err := syncDir(v.dir); err != nil {
		return clean("writing a record", err)
	}
	v.step(stepDone)
	return nil
}

// writeTemp makes a temporary file beside name, with mode 0600, and syncs it.
func writeTemp(dir, name string, content []byte, step func(string)) (path string, err error) {
	if step == nil {
		step = func(string) {}
	}
	f, err := os.CreateTemp(dir, name+tempMark+"*") // mode 0600
	if err != nil {
		return "", err
	}
	step(stepCreated)
	half := len(content) / 2
	_, err = f.Write(content[:half])
	step(stepHalf)
	if err == nil {
		_, err = f.Write(content[half:])
	}
	step(stepWritten)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	step(stepSynced)
	if err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

// readFile reads a file of at most limit bytes.
func readFile(path string, limit int64) ([]byte, fs.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file")
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(b)) > limit {
		return nil, nil, ErrTooLarge
	}
	return b, info, nil
}

// clean names what was being done and leaves out the path, which may name a person when the
// caller chose it.
func clean(doing string, err error) error {
	if err == nil {
		return nil
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = fmt.Errorf("%s: %w", pe.Op, pe.Err)
	} else if le, ok := errors.AsType[*os.LinkError](err); ok {
		err = fmt.Errorf("%s: %w", le.Op, le.Err)
	}
	return fmt.Errorf("cache: %s: %w", doing, err)
}
