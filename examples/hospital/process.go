package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// What a node is told by its environment: an address of a database may hold a password, and command
// lines can be read by everybody.
const (
	envConfig   = "HOSPITAL_CONFIG"
	envPostgres = "HOSPITAL_POSTGRES"
	envSchema   = "HOSPITAL_SCHEMA"
)

// process is a node, seen from outside.
type process struct {
	name  string
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
	ended bool
}

// startProcess starts this very program once more, as a node, and waits until it is ready.
func startProcess(ctx context.Context, name, config, dsn, schema string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	n := &process{name: name, cmd: exec.CommandContext(ctx, self)}
	n.cmd.Env = append(os.Environ(), envConfig+"="+config, envPostgres+"="+dsn, envSchema+"="+schema)
	n.cmd.Stderr = os.Stderr
	if n.in, err = n.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	n.lines = bufio.NewScanner(out)
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	if said, err := n.hear(); err != nil || said != "ready" {
		n.kill()
		return nil, fmt.Errorf("%s did not start: %q, %w", name, said, err)
	}
	return n, nil
}

// do sends a command and returns what the node says.
func (n *process) do(command string) (string, error) {
	if _, err := fmt.Fprintln(n.in, command); err != nil {
		return "", err
	}
	return n.hear()
}

func (n *process) hear() (string, error) {
	if !n.lines.Scan() {
		return "", errors.Join(io.ErrUnexpectedEOF, n.lines.Err())
	}
	return n.lines.Text(), nil
}

// settled waits until nothing waits in the queue, as the node sees it, and returns how many it has sent.
func (n *process) settled(ctx context.Context) (sent int, err error) {
	for {
		said, err := n.do("queue")
		if err != nil {
			return 0, err
		}
		if strings.HasPrefix(said, "0 waiting") {
			_, err := fmt.Sscanf(said, "0 waiting, %d sent", &sent)
			return sent, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// kill ends the process at once, as a power failure would.
func (n *process) kill() {
	if !n.ended {
		n.ended = true
		_ = n.cmd.Process.Kill() // it may have ended by itself
		_ = n.cmd.Wait()
	}
}

// stop lets the process end what it does: its input ends.
func (n *process) stop() {
	if !n.ended {
		n.ended = true
		_ = n.in.Close()
		_ = n.cmd.Wait() // how it ended is on its standard error
	}
}
