package oracle

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

//go:embed testdata/java/Judge.java
var judgeSource []byte

// judge compiles the driver once per test binary and returns the directory of its
// class files.
var judge = sync.OnceValues(func() (string, error) { return compile("javac", "Judge", judgeSource) })

// JavaClass compiles a Java program of one file and returns the arguments for
// "java" that run it: starting from its source would compile it every time.
func JavaClass(t testing.TB, source string) []string {
	t.Helper()
	javac := Tool(t, "javac")
	text, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	main := strings.TrimSuffix(filepath.Base(source), ".java")
	dir, err := compile(javac, main, text)
	if err != nil {
		t.Fatalf("oracle: cannot compile %s: %v", main, err)
	}
	return append(slices.Clone(vmFlags), "-cp", dir, main)
}

// vmFlags are for programs that run for a few seconds.
var vmFlags = []string{"-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}

// compile returns the directory of the class files of a program. It is named after
// the source and kept, so that the next test binary finds it.
func compile(javac, main string, text []byte) (string, error) {
	sum := sha256.Sum256(text)
	dir := filepath.Join(os.TempDir(), "ehealth-judge-"+strconv.Itoa(os.Getuid())+"-"+hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(filepath.Join(dir, main+".class")); err == nil {
		return dir, nil
	}
	work, err := os.MkdirTemp("", "ehealth-judge-")
	if err != nil {
		return "", err
	}
	source := filepath.Join(work, main+".java")
	if err := os.WriteFile(source, text, 0o600); err != nil {
		return "", err
	}
	if out, err := exec.Command(javac, "-encoding", "UTF-8", "-d", work, source).CombinedOutput(); err != nil {
		return "", errors.New("javac: " + string(out))
	}
	// Renaming is atomic; when another test binary was faster, its result serves.
	if err := os.Rename(work, dir); err != nil {
		if _, statErr := os.Stat(filepath.Join(dir, main+".class")); statErr != nil {
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
	court.Lock()
	defer court.Unlock()
	if court.sits == nil {
		if court.sits, err = startDriver(vm, dir); err != nil {
			t.Fatalf("oracle: cannot start the Java driver: %v", err)
		}
	}
	answers, err := court.sits.ask(command, requests)
	if err != nil {
		court.sits = nil // the next test gets another
		t.Fatalf("oracle: Java driver: %v", err)
	}
	return answers
}

// court is the one driver of a test binary: starting a virtual machine costs more
// than a hundred verdicts.
var court struct {
	sync.Mutex
	sits *driver
}

// driver is a process of the driver. It ends with the test binary, when its input
// does.
type driver struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr *os.File // no buffer: that would take a goroutine for as long as the process lives
}

func startDriver(vm, dir string) (*driver, error) {
	stderr, err := os.CreateTemp("", "ehealth-judge-stderr-")
	if err != nil {
		return nil, err
	}
	_ = os.Remove(stderr.Name()) // it goes with the process, where a file that is open can be removed
	d := &driver{cmd: exec.Command(vm, append(slices.Clone(vmFlags), "-cp", dir, "Judge")...), stderr: stderr}
	d.cmd.Stderr = stderr
	in, err := d.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.in, d.out = in, bufio.NewReader(out)
	return d, d.cmd.Start()
}

// ask has a batch answered. After an error the driver has ended.
func (d *driver) ask(command string, requests [][][]byte) ([][][]byte, error) {
	in := binary.BigEndian.AppendUint32(nil, uint32(len(requests)))
	in = appendField(in, []byte(command))
	for _, fields := range requests {
		in = binary.BigEndian.AppendUint32(in, uint32(len(fields)))
		for _, f := range fields {
			in = appendField(in, f)
		}
	}
	slow := time.AfterFunc(toolTimeout, func() { _ = d.cmd.Process.Kill() })
	defer slow.Stop()
	sent := make(chan error, 1)
	go func() {
		_, err := d.in.Write(in)
		sent <- err
	}()
	answers, err := decode(d.out, len(requests))
	if err == nil {
		err = <-sent
	}
	if err == nil {
		return answers, nil
	}
	_ = d.cmd.Process.Kill() // it may have ended by itself
	ended := d.cmd.Wait()
	return nil, fmt.Errorf("%w; %v: %s", err, ended, d.complaint())
}

// complaint is what it wrote before it ended.
func (d *driver) complaint() []byte {
	defer d.stderr.Close()
	b := make([]byte, 4096)
	n, _ := d.stderr.ReadAt(b, 0) // what cannot be read is not worth another error
	return bytes.TrimSpace(b[:n])
}

func appendField(b, f []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(f))), f...)
}

// maxAnswer bounds what one field of an answer may take.
const maxAnswer = 1 << 28

func decode(r io.Reader, n int) ([][][]byte, error) {
	length := func() (int, error) {
		var v uint32
		err := binary.Read(r, binary.BigEndian, &v)
		if err == nil && v > maxAnswer {
			err = errors.New("that is no answer")
		}
		return int(v), err
	}
	answers := make([][][]byte, n)
	for i := range answers {
		count, err := length()
		if err != nil {
			return nil, err
		}
		for range count {
			size, err := length()
			if err != nil {
				return nil, err
			}
			field := make([]byte, size)
			if _, err := io.ReadFull(r, field); err != nil {
				return nil, err
			}
			answers[i] = append(answers[i], field)
		}
	}
	return answers, nil
}
