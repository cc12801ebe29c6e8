package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// OpenAnswers opens the answers in the file at path, or makes it with mode 0600; its directory must
// exist.
//
//   - [ErrKey]: the file was filled with another key. It was not changed by a single byte.
//   - [ErrInUse]: another process has it open; see [WithTakeOver] for going on without.
//   - [ErrVersion]: a newer program made it.
//   - A file that is damaged as a whole is set aside under another name and a new one begun: event
//     Damaged. A single damaged record is found when it is asked for.
//
// Several processes that are to share answers need package postgres.
func OpenAnswers(ctx context.Context, path string, key Key, opts ...AnswersOption) (*Answers, error) {
	a, err := newAnswers(key, opts)
	if err != nil {
		return nil, err
	}
	open := func() (RecordStore, error) { return a.openFile(ctx, path) }
	a.store, err = open()
	if errors.Is(err, ErrInUse) && a.opt.takeOver != 0 {
		a.store = nil
		a.tell(InUse, err)
		a.failing = ErrInUse
		if a.opt.takeOver > 0 {
			a.reopen = func() (RecordStore, error) {
				ctx, cancel := context.WithTimeout(a.base, storeTimeout)
				defer cancel()
				return a.openFile(ctx, path)
			}
		}
		err = nil
	}
	if err != nil {
		return nil, err
	}
	a.schedule()
	return a, nil
}

// openFile opens the file and checks its key. One process at a time, because a damaged file is
// renamed: that must not hit the one that another process just began.
func (a *Answers) openFile(ctx context.Context, path string) (RecordStore, error) {
	unlock, err := lockFile(ctx, path+extLock)
	if err != nil {
		return nil, clean("opening the answers", err)
	}
	defer unlock()
	s, err := a.openRecords(ctx, path)
	if !errors.Is(err, ErrCorrupt) {
		return s, err
	}
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	if err := os.Rename(path, fmt.Sprintf("%s-%x%s", path, id, extBad)); err != nil {
		return nil, errors.Join(ErrCorrupt, clean("setting the answers aside", err))
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, clean("setting the answers aside", err)
	}
	a.tell(Damaged, ErrCorrupt)
	return a.openRecords(ctx, path)
}

func (a *Answers) openRecords(ctx context.Context, path string) (RecordStore, error) {
	s, err := OpenRecords(path, a.opt.records...)
	if err != nil {
		return nil, err
	}
	if err := a.claim(ctx, s); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// takeOver opens what could not be opened before. A failure is told when it is another one.
func (a *Answers) takeOver() bool {
	s, err := a.reopen()
	if err != nil {
		why := reasonOf(err)
		if why != a.failing && why != ErrInUse { //nolint:errorlint // one of those of reasonOf
			a.tell(NotRead, err)
		}
		a.failing = why
		return false
	}
	a.failing = nil
	a.mu.Lock()
	a.store = s // Close waits for us, and closes it
	if !a.closed {
		a.retry()
	}
	a.mu.Unlock()
	a.tell(TakenOver, nil)
	a.purge(s)
	return true
}

// reasonOf sorts the failures of takeOver; nil: the store cannot be reached.
func reasonOf(err error) error {
	for _, why := range []error{ErrInUse, ErrKey, ErrVersion, ErrCorrupt, ErrFull} {
		if errors.Is(err, why) {
			return why
		}
	}
	return nil
}
