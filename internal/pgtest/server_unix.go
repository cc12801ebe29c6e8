//go:build unix

package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Server is one PostgreSQL server.
type Server struct {
	admin string // a DSN of a user who may create databases

	// Of a private one:
	dir     string // holds data, the socket and the log
	bin     string
	cred    *syscall.Credential // nil = ours
	cmd     *exec.Cmd           // nil = not running
	watcher *exec.Cmd
	alive   io.Closer // its end tells the watcher that we are gone
}

// settings of a private cluster: safe as in production, small, and silent on the network.
var settings = []string{
	"listen_addresses=", "unix_socket_permissions=0777", "max_connections=200", "shared_buffers=64MB", "jit=off",
	"fsync=on", "synchronous_commit=on", "full_page_writes=on", "timezone=UTC", "log_min_messages=warning", "log_timezone=UTC",
}

// bins finds the directory of initdb and postgres: the path first, then the newest of Debian's.
func bins() (string, error) {
	if p, err := exec.LookPath("initdb"); err == nil {
		if p, err = filepath.EvalSymlinks(p); err == nil {
			if _, err := os.Stat(filepath.Join(filepath.Dir(p), "postgres")); err == nil {
				return filepath.Dir(p), nil
			}
		}
	}
	best, newest := "", 0
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	for _, p := range found {
		dir := filepath.Dir(p)
		if n, err := strconv.Atoi(filepath.Base(filepath.Dir(dir))); err == nil && n > newest {
			best, newest = dir, n
		}
	}
	if best == "" {
		return "", ErrAbsent
	}
	return best, nil
}

// credential is whom the server runs as: it refuses to run as root.
func credential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("pgtest: root, and neither a user postgres nor nobody")
}

// private makes a cluster and starts it.
func private(ctx context.Context) (_ *Server, err error) {
	s := &Server{}
	if s.bin, err = bins(); err != nil {
		return nil, err
	}
	if s.cred, err = credential(); err != nil {
		return nil, err
	}
	// Short: the path of a socket has room for about 100 characters.
	if s.dir, err = os.MkdirTemp("", "pgtest"); err != nil {
		return nil, err
	}
	s.admin = "host=" + s.dir + " user=postgres dbname=postgres sslmode=disable"
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Stop())
		}
	}()
	if s.cred != nil {
		if err := os.Chown(s.dir, int(s.cred.Uid), int(s.cred.Gid)); err != nil {
			return nil, err
		}
	}
	if err := s.watch(); err != nil {
		return nil, err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(s.bin, "initdb"),
		"-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred}
	initdb.Dir = s.dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("pgtest: initdb: %w: %s", err, out)
	}
	return s, s.Start(ctx)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// watch starts a process that outlives us only to stop the server and to remove its directory. It
// has a session of its own, so that what is sent to our group does not reach it.
func (s *Server) watch() error {
	const script = `cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && grep -q "$1" "/proc/$pid/cmdline" 2>/dev/null; then
  kill -CONT "$pid"; kill -QUIT "$pid"
  for i in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
fi
rm -rf "$1"`
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	s.watcher = exec.Command("/bin/sh", "-c", script, "sh", s.dir)
	s.watcher.Dir = "/"
	s.watcher.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/bin:/bin")
	s.watcher.Stdin = r
	s.watcher.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := s.watcher.Start(); err != nil {
		_ = w.Close()
		return err
	}
	s.alive = w
	return nil
}

// Start starts the server, again after [Server.Kill9], and returns when it answers: a crashed one
// recovers first. A running one stays as it is.
func (s *Server) Start(ctx context.Context) error {
	if s.dir == "" || s.cmd != nil {
		return nil
	}
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := []string{"-D", s.data(), "-k", s.dir}
	for _, set := range settings {
		args = append(args, "-c", set)
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	cmd.Dir = s.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.cred, Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd = cmd
	for {
		err := s.exec(ctx, "SELECT 1")
		if err == nil {
			return nil
		}
		if pid, werr := syscall.Wait4(cmd.Process.Pid, nil, syscall.WNOHANG, nil); werr != nil || pid != 0 {
			s.cmd = nil
			return fmt.Errorf("pgtest: the server did not start: %s", s.tail())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("pgtest: the server does not answer: %w: %w: %s", ctx.Err(), err, s.tail())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tail is the end of the log.
func (s *Server) tail() []byte {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return []byte(err.Error())
	}
	return b[max(0, len(b)-2000):]
}

// Kill9 kills every process of the server at one moment, as a power failure would, and returns when
// all are gone. What was not synced may still be in the page cache of the system.
func (s *Server) Kill9() error {
	if s.cmd == nil {
		return errors.New("pgtest: no server of ours is running")
	}
	pid := s.cmd.Process.Pid
	// Stopped, it can start no further processes; killed before them, it would let them clean up.
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return err
	}
	// The signal takes effect a moment later; what is forked until then would be missed, and the
	// next server waits for it.
	for st, _ := status(pid); st != 'T' && st != 0; st, _ = status(pid) {
		time.Sleep(time.Millisecond)
	}
	all := children(pid)
	for _, c := range append(all, pid) {
		_ = syscall.Kill(c, syscall.SIGKILL)
	}
	_ = s.cmd.Wait() // the error says "killed"
	s.cmd = nil
	for _, c := range all {
		for syscall.Kill(c, 0) == nil && parent(c) >= 0 {
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// Stop ends the server and removes its directory. It may be called twice.
func (s *Server) Stop() error {
	if s.dir == "" {
		return nil
	}
	var err error
	if s.cmd != nil {
		err = s.cmd.Process.Signal(syscall.SIGQUIT)
		if werr := s.cmd.Wait(); err == nil && werr != nil && !errors.As(werr, new(*exec.ExitError)) {
			err = werr
		}
		s.cmd = nil
	}
	if s.alive != nil {
		_ = s.alive.Close()
		s.alive = nil
		err = errors.Join(err, s.watcher.Wait())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// children lists the processes started by pid, as far as /proc tells.
func children(pid int) (all []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		c, err := strconv.Atoi(filepath.Base(d))
		if err == nil && parent(c) == pid {
			all = append(all, c)
		}
	}
	return all
}

// parent returns the parent of a process, -1 when it is gone or dead.
func parent(pid int) int {
	_, ppid := status(pid)
	return ppid
}

// status returns the state of a process, such as 'R', 'S' or 'T', and its parent; 0 and -1 when it
// is gone or dead.
func status(pid int) (state byte, ppid int) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, -1
	}
	// pid (name) state ppid; a name may hold anything but ends at the last parenthesis.
	f := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(f) < 2 || f[0][0] == 'Z' || f[0][0] == 'X' {
		return 0, -1
	}
	n, err := strconv.Atoi(string(f[1]))
	if err != nil {
		return 0, -1
	}
	return f[0][0], n
}
