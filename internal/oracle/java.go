package oracle

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
)

//go:embed testdata/java/Judge.java
var judgeSource []byte

// judge compiles the driver once per test binary and returns the directory of its
// class files. The directory is named after the source and kept, so that the next
// test binary finds it.
var judge = sync.OnceValues(func() (string, error) { return compile("javac") })

func compile(javac string) (string, error) {
	sum := sha256.Sum256(judgeSource)
	dir := filepath.Join(os.TempDir(), "ehealth-judge-"+strconv.Itoa(os.Getuid())+"-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(filepath.Join(dir, "Judge.class")); err == nil {
		return dir, nil
	}
	work, err := os.MkdirTemp("", "ehealth-judge-")
	if err != nil {
		return "", err
	}
	source := filepath.Join(work, "Judge.java")
	if err := os.WriteFile(source, judgeSource, 0o600); err != nil {
		return "", err
	}
	if out, err := exec.Command(javac, "-encoding", "UTF-8", "-d", work, source).CombinedOutput(); err != nil {
		return "", errors.New("javac: " + string(out))
	}
	// Renaming is atomic; when another test binary was faster, its result serves.
	if err := os.Rename(work, dir); err != nil {
		if _, statErr := os.Stat(filepath.Join(dir, "Judge.class")); statErr != nil {
			return "", err
		}
		os.RemoveAll(work)
	}
	return dir, nil
}

// java runs one command of the driver over a batch of requests, each a list of
// fields, and returns as many answers.
func java(t testing.TB, command string, requests [][][]byte) [][][]byte {
	t.Helper()
	vm := Tool(t, "java")
	Tool(t, "javac")
	dir, err := judge()
	if err != nil {
		t.Fatalf("oracle: cannot compile the Java driver: %v", err)
	}
	in := binary.BigEndian.AppendUint32(nil, uint32(len(requests)))
	for _, fields := range requests {
		in = binary.BigEndian.AppendUint32(in, uint32(len(fields)))
		for _, f := range fields {
			in = binary.BigEndian.AppendUint32(in, uint32(len(f)))
			in = append(in, f...)
		}
	}
	out, err := run(t, in, vm, "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", dir, "Judge", command)
	if err != nil {
		t.Fatalf("oracle: Java driver: %v", err)
	}
	answers, err := decode(out, len(requests))
	if err != nil {
		t.Fatalf("oracle: Java driver: %v", err)
	}
	return answers
}

func decode(b []byte, n int) ([][][]byte, error) {
	r := bytes.NewReader(b)
	short := errors.New("answer cut short")
	length := func() (int, bool) {
		var v uint32
		err := binary.Read(r, binary.BigEndian, &v)
		return int(v), err == nil && int64(v) <= r.Size()
	}
	answers := make([][][]byte, n)
	for i := range answers {
		count, ok := length()
		if !ok {
			return nil, short
		}
		for range count {
			size, ok := length()
			if !ok || size > r.Len() {
				return nil, short
			}
			field := make([]byte, size)
			r.Read(field)
			answers[i] = append(answers[i], field)
		}
	}
	return answers, nil
}
