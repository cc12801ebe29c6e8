package cache

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const (
	crashEnv = "EHEALTH_CACHE_CRASH" // step, directory and key of the process that is to die
	survived = 7
)

// crashMain is a process that dies in the middle of replacing a record.
func crashMain() {
	f := strings.Split(os.Getenv(crashEnv), "|")
	secret, err := hex.DecodeString(f[2])
	if err != nil {
		panic(err)
	}
	key, err := KeyFromBytes(secret)
	if err != nil {
		panic(err)
	}
	v, err := OpenVault(f[1], key)
	if err != nil {
		panic(err)
	}
	v.step = func(at string) {
		if at == f[0] {
			me, err := os.FindProcess(os.Getpid())
			if err == nil {
				err = me.Kill()
			}
			fmt.Fprintln(os.Stderr, "still alive:", err)
			select {}
		}
	}
	if _, err := v.Lock(context.Background(), "n"); err != nil {
		panic(err)
	}
	if err := v.Put(context.Background(), "b", "n", []byte("new")); err != nil {
		panic(err)
	}
	os.Exit(survived)
}

// TestCrash kills a real process after each step of a write. Afterwards the record is the old
// one or the new one, the lock is free and the vault works.
func TestCrash(t *testing.T) {
	want := map[string]string{
		stepCreated: "old", stepHalf: "old", stepWritten: "old", stepSynced: "old",
		stepRenamed: "new", stepDone: "new", "none": "new",
	}
	for step, value := range want {
		t.Run(step, func(t *testing.T) {
			dir, secret := t.TempDir(), make([]byte, KeySize)
			key, err := KeyFromBytes(secret)
			if err != nil {
				t.Fatal(err)
			}
			put(t, openVault(t, dir, key), "b", "n", "old")
			cmd := exec.Command(os.Args[0], "-test.run=^$")
			cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%x", crashEnv, step, dir, secret))
			out, err := cmd.CombinedOutput()
			code := cmd.ProcessState.ExitCode()
			if died := code != survived; died != (step != "none") || strings.Contains(string(out), "panic") {
				t.Fatalf("exit code %d, %v\n%s", code, err, out)
			}
			v := openVault(t, dir, key)
			if got := get(t, v, "b", "n"); got != value {
				t.Errorf("the record is %q, want %q", got, value)
			}
			unlock, err := v.Lock(t.Context(), "n")
			if err != nil {
				t.Fatal(err)
			}
			put(t, v, "b", "n", "later")
			unlock()
			if get(t, v, "b", "n") != "later" || len(files(t, dir, extBad)) != 0 {
				t.Error("the vault does not work any more")
			}
		})
	}
}
