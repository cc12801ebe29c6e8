package insurability

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

func noLonger(x *GenInsResponse) {
	x.Response.Detail.List = nil
	x.Response.Detail.Situation = &GeneralSituation{Event: ClosedBefore}
}

// TestContradictedAboutAnEarlierDay: what the platform says about a day that the caller named ends a stored yes that
// speaks of no later one, as the check in the background does; it leaves one that was given later.
func TestContradictedAboutAnEarlierDay(t *testing.T) {
	answers := map[string]func(*testing.T) func(*xmltree.Node) (int, io.Reader){
		"no": func(t *testing.T) func(*xmltree.Node) (int, io.Reader) {
			return genIns(t, "genins-response-insured.xml", noLonger)
		},
		"no insurer": func(t *testing.T) func(*xmltree.Node) (int, io.Reader) {
			return genIns(t, "genins-response-fault-noio.xml", nil)
		},
		"died": func(t *testing.T) func(*xmltree.Node) (int, io.Reader) {
			return genIns(t, "genins-response-insured.xml", func(x *GenInsResponse) { x.Response.Patient.Person.Deceased = DateOf(winter).AddDays(2) })
		},
	}
	for name, answer := range answers {
		for day, want := range map[int]Source{-1: Stored, 0: Unknown, 2: Unknown} { // from that of the yes
			if name == "died" {
				want = Unknown // whatever day was asked about
			}
			t.Run(fmt.Sprint(name, " ", day), func(t *testing.T) {
				bubble(t, winter, func(r *rung) {
					c := r.client(doctor)
					q := Query{Patient: ssinInsured}
					r.ask(c, q, Live)
					time.Sleep(3 * 24 * time.Hour)
					r.set(answer(r.T))
					past := q
					past.Date = DateOf(winter).AddDays(day)
					if a, err := c.Check(r.Context(), past); err == nil && a.Source != Live {
						r.Fatalf("%v, %v", a, err)
					}
					r.set(nil)
					r.ask(c, q, want)
				})
			})
		}
	}
}

// TestContradictedInTheBackground: a check about a day that the caller named ends such a yes on the same day, too.
func TestContradictedInTheBackground(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		c := r.client(doctor)
		q := Query{Patient: ssinInsured}
		r.ask(c, q, Live)
		time.Sleep(3 * 24 * time.Hour)
		r.set(nil)
		past := q
		past.Date = Today().AddDays(-1)
		ref := r.ask(c, past, Stored).Recheck
		r.set(genIns(r.T, "genins-response-insured.xml", noLonger))
		time.Sleep(2 * time.Hour)
		if x, ok := c.Recheck(ref); !ok || !x.Done || !x.Differs {
			r.Fatalf("%+v", x)
		}
		r.set(nil)
		r.ask(c, q, Unknown)
	})
}

// clogged is a store whose reads hang, whatever their context says.
type clogged struct {
	cache.RecordStore
	hang    chan struct{} // closed: they hang
	free    chan struct{}
	entered chan struct{}
}

func (s clogged) Load(ctx context.Context, id [32]byte) ([]byte, error) {
	select {
	case <-s.hang:
		s.entered <- struct{}{}
		<-s.free
	default:
	}
	return s.RecordStore.Load(ctx, id)
}

func clog(r *rung) clogged {
	r.Helper()
	k, err := cache.KeyFromBytes(bytes.Repeat([]byte{8}, cache.KeySize))
	if err != nil {
		r.Fatal(err)
	}
	records, err := cache.OpenRecords(filepath.Join(r.TempDir(), "clogged.db"))
	if err != nil {
		r.Fatal(err)
	}
	s := clogged{records, make(chan struct{}), make(chan struct{}), make(chan struct{}, 1000)}
	answers, err := cache.NewAnswers(r.Context(), s, k, cache.WithMemory(-1))
	if err != nil {
		r.Fatal(err)
	}
	if err := r.answers.Close(); err != nil {
		r.Fatal(err)
	}
	r.answers = answers
	r.Cleanup(func() { _ = answers.Close() })
	return s
}

// TestLooksAreBounded: a disk that hangs holds no more of us than MaxLooks, everybody is told in time that nothing is
// known, and it is read again once it is back.
func TestLooksAreBounded(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		s := clog(r)
		c := r.client(doctor)
		q := Query{Patient: ssinInsured}
		r.ask(c, q, Live)
		if err := r.answers.Flush(r.Context()); err != nil {
			r.Fatal(err)
		}
		r.set(nil)
		r.ask(c, q, Stored)
		close(s.hang)
		for range 3 * MaxLooks {
			r.ask(c, q, Unknown)
		}
		if n := len(s.entered); n == 0 || n > MaxLooks {
			r.Errorf("%d looks hang", n)
		}
		close(s.free)
		synctest.Wait()
		r.ask(c, q, Stored)
	})
}

// TestContradictionDoesNotWait: an answer about another day is not held up by a disk that hangs, and what could not be
// looked at is dropped.
func TestContradictionDoesNotWait(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		s := clog(r)
		c := r.client(doctor)
		q := Query{Patient: ssinInsured}
		r.ask(c, q, Live)
		if err := r.answers.Flush(r.Context()); err != nil {
			r.Fatal(err)
		}
		close(s.hang)
		time.Sleep(24 * time.Hour)
		r.set(genIns(r.T, "genins-response-insured.xml", noLonger))
		past, start := q, time.Now()
		past.Date = Today().AddDays(-1)
		r.ask(c, past, Live)
		if d := time.Since(start); d > StoredShare {
			r.Errorf("took %v", d)
		}
		close(s.free)
		synctest.Wait()
		r.set(nil)
		r.ask(c, q, Unknown)
	})
}
