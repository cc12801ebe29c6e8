package drill

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ehealth-continuity/ehealth/ehbox"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
)

// The kinds of traffic about mail. Each desk writes to the other pharmacy, and looks into the box of its own.
const (
	// Mail: a letter is sent. Services ehbox-pub and etk of the sandbox.
	Mail Traffic = "mail"
	// Inbox: what is new in the box is read. Service ehbox-cons of the sandbox.
	Inbox Traffic = "inbox"
)

const (
	// mailPace is how much rarer letters and looks are than questions.
	mailPace = 4
	// mailSettle is how long after the end the outboxes get to send what is left.
	mailSettle = time.Hour
	// mailDelivery is longer than the sandbox takes to deliver what it has accepted.
	mailDelivery = 10 * time.Second
)

func (t Traffic) mail() bool { return t == Mail || t == Inbox }

var mailJoins = map[string]func(*sandbox.Sandbox, *sandbox.Organisation, *mailroom) (correspondent, error){
	Ours: joinMailOurs, Naive: joinMailNaive, ConnectorLike: joinMailConnector,
}

// mailFleet is the desks of one fleet that write and read letters.
type mailFleet struct {
	f     *fleet
	s     *sandbox.Sandbox
	rooms []*mailroom
	desks []correspondent

	mu       sync.Mutex
	promised map[string]bool // of each letter: whether the client said that it is or will be sent
}

// openMail starts the desks, when there is traffic for them.
func (f *fleet) openMail(s *sandbox.Sandbox) (*mailFleet, error) {
	m := &mailFleet{f: f, s: s, promised: map[string]bool{}}
	if !slices.ContainsFunc(f.tables, func(t *Fleet) bool { return t.Traffic.mail() }) {
		return m, nil
	}
	var err error
	if m.rooms, err = rooms(s); err != nil {
		return m, err
	}
	for i := range f.o.Pharmacies {
		d, err := mailJoins[f.name](s, s.Organisation(identity.Pharmacy, i%2), m.rooms[i%2])
		if err != nil {
			return m, err
		}
		m.desks = append(m.desks, d)
	}
	return m, nil
}

func (m *mailFleet) close() {
	for _, d := range m.desks {
		d.close()
	}
}

// renew gives the first pharmacy a new encryption key at every moment at which the identity of a service moves: letters
// that are sealed for the former key must still be read, and new ones must find the new key.
func (m *mailFleet) renew(script sandbox.Script, start time.Time) error {
	for _, st := range script.Steps {
		if _, ok := st.Fault.(sandbox.KeyRotate); !ok || m.rooms == nil {
			continue
		}
		time.Sleep(time.Until(start.Add(st.At)))
		if err := m.s.RotateKey(m.rooms[0].holder); err != nil {
			return err
		}
		if err := m.rooms[0].reload(); err != nil {
			return err
		}
	}
	return nil
}

// work lives one desk's day, as fleet.work does.
func (m *mailFleet) work(desk int, t *Fleet, start time.Time, rnd *rand.Rand) {
	end := t.Phases[len(t.Phases)-1].To
	var wg sync.WaitGroup
	defer wg.Wait()
	next := time.Duration(0)
	for n := 1; ; n++ {
		next += time.Duration(rnd.ExpFloat64() * float64(mailPace*m.f.o.Every))
		if next >= end {
			return
		}
		at, reference := next, fmt.Sprintf("letter %d, %d", desk, n)
		time.Sleep(time.Until(start.Add(at)))
		wg.Go(func() {
			if t.Traffic == Mail {
				m.write(t, at, desk, reference)
			} else {
				m.look(t, at, desk, false)
			}
		})
	}
}

// write sends one letter and counts what became of it.
func (m *mailFleet) write(t *Fleet, at time.Duration, desk int, reference string) {
	began := time.Now()
	got, err := m.desks[desk].letter(context.Background(), m.rooms[(desk+1)%2], reference)
	took := time.Since(began)
	kept, unsure := errors.Is(err, outbox.ErrQueued), errors.Is(err, outbox.ErrUnknown)
	m.mu.Lock()
	m.promised[reference] = err == nil || kept || unsure
	m.mu.Unlock()
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	ph := t.called(at, took)
	switch {
	case err != nil:
		ph.Failed++
		if kept {
			ph.Kept++
		}
		if unsure {
			ph.Unsure++
		}
	case got.of != reference:
		ph.WrongAsker++
	default:
		ph.Live++
	}
}

// look reads a box once.
func (m *mailFleet) look(t *Fleet, at time.Duration, desk int, all bool) {
	began := time.Now()
	got, err := m.desks[desk].look(context.Background(), all)
	took := time.Since(began)
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	ph := t.called(at, took)
	ph.Read += got.read
	ph.Aside += got.aside
	if err != nil {
		ph.Failed++
	} else {
		ph.Live++
	}
}

// called counts one call in its phase.
func (t *Fleet) called(at, took time.Duration) *Phase {
	ph := t.phase(at)
	ph.Calls++
	ph.Slowest = max(ph.Slowest, took)
	ph.waits = append(ph.waits, took)
	return ph
}

// sumUp lets the outboxes send what is left, reads the boxes once more, and compares what was promised with what the
// boxes of the sandbox hold.
func (m *mailFleet) sumUp(start time.Time) error {
	if m.desks == nil {
		return nil
	}
	for _, d := range m.desks {
		d.settle(mailSettle)
	}
	time.Sleep(mailDelivery)
	letters, inbox := m.f.tableOf(Mail), m.f.tableOf(Inbox)
	if inbox != nil {
		for desk := range m.rooms {
			if desk < len(m.desks) {
				m.look(inbox, inbox.Phases[len(inbox.Phases)-1].From, desk, true)
			}
		}
	}
	m.f.mu.Lock()
	defer m.f.mu.Unlock()
	arrived := map[string]int{}
	for n, r := range m.rooms {
		list, err := m.s.Mail(r.self, string(ehbox.Inbox))
		if err != nil {
			return err
		}
		for _, msg := range slices.Backward(list) {
			if _, ours := m.promised[msg.Title]; !ours {
				continue
			}
			arrived[msg.Title]++
			at := msg.Published.Sub(start)
			if letters != nil {
				ph := letters.phase(at)
				ph.Done++
				if arrived[msg.Title] > 1 {
					ph.Doubled++
				}
			}
			if inbox != nil && n < len(m.desks) && r.read[msg.Title] == 0 {
				inbox.phase(at).Unread++
			}
		}
	}
	if letters == nil {
		return nil
	}
	for ref, promised := range m.promised {
		if promised && arrived[ref] == 0 {
			letters.Phases[len(letters.Phases)-1].Lost++
		}
	}
	return nil
}

func (f *fleet) tableOf(t Traffic) *Fleet {
	i := slices.IndexFunc(f.tables, func(x *Fleet) bool { return x.Traffic == t })
	if i < 0 {
		return nil
	}
	return f.tables[i]
}
