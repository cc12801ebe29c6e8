package cache

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// What a vault may answer; for errors.Is.
var (
	// ErrNotFound reports that there is no record of that name.
	ErrNotFound = errors.New("cache: no such record")
	// ErrKey reports a vault, record or key file that this key does not open. It was left as it is.
	ErrKey = errors.New("cache: written with another key")
	// ErrCorrupt reports a record, or the head of a vault, that was changed or cut short. It was
	// set aside, and the next Get reports ErrNotFound.
	ErrCorrupt = errors.New("cache: the record is damaged and was set aside")
	// ErrVersion reports something that a newer version of this package wrote. It was left as it is.
	ErrVersion = errors.New("cache: written by a newer version")
	// ErrTooLarge reports a value, bucket or name beyond its bound.
	ErrTooLarge = errors.New("cache: too large")
)

const (
	// MaxValue bounds a value, in bytes. A token has about 10 kB.
	MaxValue = 1 << 20
	// MaxName bounds a bucket and a name, in bytes.
	MaxName = 1024

	version  = 1
	fileMode = 0o600
	dirMode  = 0o700

	head     = 1 + keyIDSize // version, key id
	overhead = head + chacha20poly1305.NonceSizeX + chacha20poly1305.Overhead
	maxFile  = overhead + MaxValue

	extRecord = ".rec"
	extBad    = ".bad"
	extLock   = ".lock"
	tempMark  = ".tmp-"
	headFile  = "vault" + extRecord

	// tempAge is how old a temporary file must be before it counts as left behind by a process
	// that died: much longer than a write takes.
	tempAge = time.Hour
	// openTimeout bounds the wait for another process that opens the same vault.
	openTimeout = 10 * time.Second
)

// Vault is a directory of encrypted records. It is safe for concurrent use, by several
// processes too: the last Put wins, and Lock serves those who must agree on more.
type Vault struct {
	dir  string
	key  Key
	aead cipher.AEAD
	step func(string) // failpoint of tests, called between the steps of a write
}

// OpenVault opens the vault in dir, which is made when absent. A vault that was made with
// another key is refused with [ErrKey], so that two programs do not fill one directory without
// seeing each other's records.
func OpenVault(dir string, key Key) (*Vault, error) {
	if !key.valid() {
		return nil, fmt.Errorf("%w: an empty Key", ErrUnsuitable)
	}
	aead, err := chacha20poly1305.NewX(key.seal)
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, clean("making the directory", err)
	}
	v := &Vault{dir: dir, key: key, aead: aead, step: func(string) {}}
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	unlock, err := lockFile(ctx, filepath.Join(dir, "vault"+extLock))
	if err != nil {
		return nil, clean("opening the vault", err)
	}
	defer unlock()
	if err := v.checkHead(); err != nil {
		return nil, err
	}
	v.sweep(time.Now())
	return v, nil
}

// checkHead reads the record that says whose vault this is, or writes it.
func (v *Vault) checkHead() error {
	path := filepath.Join(v.dir, headFile)
	_, err := v.read(path, "", "vault")
	if !errors.Is(err, ErrNotFound) {
		return err
	}
	return v.write(path, v.encrypt("", "vault", nil))
}

// sweep removes what processes that died in the middle of a write have left behind.
func (v *Vault) sweep(now time.Time) {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return // what is left behind does no harm
	}
	for _, e := range entries {
		if !strings.Contains(e.Name(), tempMark) {
			continue
		}
		if info, err := e.Info(); err == nil && info.ModTime().Before(now.Add(-tempAge)) {
			_ = os.Remove(filepath.Join(v.dir, e.Name()))
		}
	}
}

// Put writes a record in place of an earlier one of that name. When it returns nil the record is on disk;
// when it fails the earlier one is, or, if only the last sync failed, either of them.
func (v *Vault) Put(ctx context.Context, bucket, name string, value []byte) error {
	if err := bounded(ctx, bucket, name); err != nil {
		return err
	}
	if len(value) > MaxValue {
		return fmt.Errorf("%w: a value of %d bytes", ErrTooLarge, len(value))
	}
	return v.write(v.path(bucket, name), v.encrypt(bucket, name, value))
}

// Get returns the record of that name. The slice belongs to the caller.
func (v *Vault) Get(ctx context.Context, bucket, name string) ([]byte, error) {
	if err := bounded(ctx, bucket, name); err != nil {
		return nil, err
	}
	return v.read(v.path(bucket, name), bucket, name)
}

// Delete removes the record of that name; that there is none is no error.
func (v *Vault) Delete(ctx context.Context, bucket, name string) error {
	if err := bounded(ctx, bucket, name); err != nil {
		return err
	}
	err := os.Remove(v.path(bucket, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = syncDir(v.dir)
	}
	return clean("deleting a record", err)
}

// Lock takes the lock of that name, which excludes other holders in this process and in others,
// and waits for it until ctx ends. It protects nothing by itself; records may be read and
// written without it. The lock of a process that dies is free. unlock may be called once or
// more.
//
// On Unix the lock is that of flock(2), which does not reach over some network file systems. Elsewhere
// it is a file that its holder keeps fresh; it counts as left behind once it was not touched for
// a minute, so a process that was stopped for longer may find its lock taken.
func (v *Vault) Lock(ctx context.Context, name string) (unlock func(), err error) {
	if err := bounded(ctx, "", name); err != nil {
		return nil, err
	}
	unlock, err = lockFile(ctx, filepath.Join(v.dir, v.key.fileName("lock", name)+extLock))
	return unlock, clean("locking", err)
}

func bounded(ctx context.Context, bucket, name string) error {
	if len(bucket) > MaxName || len(name) > MaxName {
		return fmt.Errorf("%w: a name of more than %d bytes", ErrTooLarge, MaxName)
	}
	return ctx.Err()
}

func (v *Vault) path(bucket, name string) string {
	return filepath.Join(v.dir, v.key.fileName(bucket, name)+extRecord)
}

// encrypt returns the file of a record: version, key id, nonce, sealed value. Of an XChaCha20
// nonce 24 bytes are random, enough for any number of records.
func (v *Vault) encrypt(bucket, name string, value []byte) []byte {
	out := make([]byte, 0, overhead+len(value))
	out = append(append(out, version), v.key.id[:]...)
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	_, _ = rand.Read(nonce) // never fails
	ad := append(out[:head:head], labelled(bucket, name)...)
	return v.aead.Seal(append(out, nonce...), nonce, value, ad)
}

// read opens the record in path. What is damaged is set aside.
func (v *Vault) read(path, bucket, name string) ([]byte, error) {
	b, _, err := readFile(path, maxFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotFound
	case errors.Is(err, ErrTooLarge):
		return nil, v.setAside(path)
	case err != nil:
		return nil, clean("reading a record", err)
	case len(b) < overhead:
		return nil, v.setAside(path)
	case b[0] > version:
		return nil, ErrVersion
	case b[0] != version:
		return nil, v.setAside(path)
	case string(b[1:head]) != string(v.key.id[:]):
		return nil, ErrKey
	}
	nonce, sealed := b[head:head+chacha20poly1305.NonceSizeX], b[head+chacha20poly1305.NonceSizeX:]
	ad := append(b[:head:head], labelled(bucket, name)...)
	value, err := v.aead.Open(nil, nonce, sealed, ad)
	if err != nil {
		return nil, v.setAside(path)
	}
	return value, nil
}

// setAside renames a damaged record, so that somebody may still look at it, and returns the
// error to report.
func (v *Vault) setAside(path string) error {
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	to := fmt.Sprintf("%s-%x%s", strings.TrimSuffix(path, extRecord), id, extBad)
	if err := os.Rename(path, to); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(ErrCorrupt, clean("setting a record aside", err))
	}
	return ErrCorrupt
}
