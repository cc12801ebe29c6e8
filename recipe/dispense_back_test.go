package recipe

import (
	"errors"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
)

// A delivery is taken back at one desk while its archive is on the wire at another. It is settled when the fate of the archive is
// known: what was archived stays so, and that is told as what it is; an archive that did not arrive is not sent again.
func TestTakenBackDuringArchive(t *testing.T) {
	for name, c := range map[string]struct {
		executed, answered bool
	}{
		"archived": {true, true}, "archived, and the answer is lost": {true, false}, "lost on the way": {false, false},
	} {
		for kind, archive := range map[string]func(p *pharmacyDesk, rid identity.RID) (*Dispensed, error){
			"mark": func(p *pharmacyDesk, rid identity.RID) (*Dispensed, error) { return p.d.Archive(p.t.Context(), rid) },
			"dispensing": func(p *pharmacyDesk, rid identity.RID) (*Dispensed, error) {
				return p.d.Dispense(p.t.Context(), Dispensing{RID: rid, Archive: ArchiveNow})
			},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				atDesk(t, func(t *testing.T) {
					p := newDesk(t)
					rid := someRIDs(t, 1)[0]
					p.fake.add(rid)
					if kind == "mark" {
						if _, err := p.d.Dispense(t.Context(), Dispensing{RID: rid}); err != nil {
							t.Fatal(err)
						}
					}
					onWire, arrived := make(chan struct{}), make(chan struct{})
					first := true
					p.fake.trip = func(op string, _ int, after bool) error {
						if op != "archive" || after != c.executed || !first {
							return nil
						}
						first = false
						p.fake.mu.Unlock()
						close(onWire)
						<-arrived
						p.fake.mu.Lock()
						if !c.answered {
							return failed(fault.Timeout, fault.Unknown)
						}
						return nil
					}
					archived, back := make(chan error, 1), make(chan error, 1)
					go func() { _, err := archive(p, rid); archived <- err }()
					<-onWire
					go func() { _, err := p.d.Undeliver(t.Context(), rid); back <- err }()
					time.Sleep(time.Second) // it waits behind the archive
					close(arrived)
					if err := <-archived; c.answered && err != nil || !c.answered && !errors.Is(err, outbox.ErrUnknown) {
						t.Errorf("archive: %v", err)
					}
					err := <-back
					p.drain()
					x, all := p.fake.rx[rid.Reveal()], p.all()
					if !c.executed {
						if x.state != protocol.NotDelivered || x.archived != 0 || len(all) != 0 {
							t.Errorf("%+v, %d reports; %v", x, len(all), err)
						}
						return
					}
					if x.state != protocol.Archived || x.archived != 1 || len(all) != 1 || all[0].Conflict != ConflictArchived || all[0].State != protocol.Archived {
						t.Fatalf("%+v, %d reports; %v", x, len(all), err)
					}
					got, err := p.d.Undeliver(t.Context(), rid) // asked again: the same
					state, is := errors.AsType[*StateError](err)
					if !is || !state.Own || state.Twice || got.State != DispensedConflict || got.Report.Conflict != ConflictArchived {
						t.Errorf("%+v, %v", got, err)
					}
				})
			})
		}
	}
}

// A mark of archived that waits is left out when the delivery is taken back behind it, wherever the prescription stands then.
func TestTakenBackBehindAMark(t *testing.T) {
	for name, c := range map[string]struct {
		state    protocol.PrescriptionStatus
		by       identity.Private
		end      protocol.PrescriptionStatus
		conflict []Conflict
	}{
		"delivered":           {protocol.Delivered, ownPharmacy, protocol.NotDelivered, nil},
		"in process":          {protocol.InProcess, ownPharmacy, protocol.NotDelivered, nil},
		"free":                {protocol.NotDelivered, identity.Private{}, protocol.NotDelivered, nil},
		"archived":            {protocol.Archived, ownPharmacy, protocol.Archived, []Conflict{ConflictArchived}},
		"delivered elsewhere": {protocol.Delivered, otherPharmacy, protocol.Delivered, []Conflict{ConflictTwice, ConflictTwice}},
		"revoked":             {protocol.Revoked, otherPharmacy, protocol.Revoked, []Conflict{ConflictRevoked, ConflictRevoked}},
	} {
		t.Run(name, func(t *testing.T) {
			atDesk(t, func(t *testing.T) {
				p := newDesk(t)
				rid := someRIDs(t, 1)[0]
				p.fake.set(rid, c.state, c.by)
				p.fake.setDown(true)
				if _, err := p.d.Archive(t.Context(), rid); !errors.Is(err, outbox.ErrQueued) {
					t.Fatal(err)
				}
				if _, err := p.d.Undeliver(t.Context(), rid); !errors.Is(err, outbox.ErrQueued) {
					t.Fatal(err)
				}
				p.fake.setDown(false)
				p.drain()
				if x := p.fake.rx[rid.Reveal()]; x.state != c.end || x.archived != 0 {
					t.Errorf("%+v", x)
				}
				all := p.all()
				if len(all) != len(c.conflict) {
					t.Fatalf("%d reports", len(all))
				}
				for i, want := range c.conflict {
					if all[i].Conflict != want {
						t.Errorf("report of %s, want %s", all[i].Conflict, want)
					}
				}
			})
		})
	}
}

// A delivery that is taken back while it is being made is not archived by the same call.
func TestTakenBackDuringDelivery(t *testing.T) {
	atDesk(t, func(t *testing.T) {
		p := newDesk(t)
		rid := someRIDs(t, 1)[0]
		p.fake.add(rid)
		onWire, arrived := make(chan struct{}), make(chan struct{})
		p.fake.trip = func(op string, _ int, after bool) error {
			if op == "deliver" && !after {
				p.fake.mu.Unlock()
				close(onWire)
				<-arrived
				p.fake.mu.Lock()
			}
			return nil
		}
		made, back := make(chan error, 1), make(chan error, 1)
		go func() {
			got, err := p.d.Dispense(t.Context(), Dispensing{RID: rid, Archive: ArchiveNow})
			if err == nil && (got.State != DispensedConfirmed || got.Status != protocol.Delivered || got.Report != nil) {
				t.Errorf("%+v", got)
			}
			made <- err
		}()
		<-onWire
		go func() { _, err := p.d.Undeliver(t.Context(), rid); back <- err }()
		time.Sleep(time.Second) // it waits behind the delivery
		close(arrived)
		if err := <-made; err != nil {
			t.Error(err)
		}
		if err := <-back; err != nil && !errors.Is(err, outbox.ErrQueued) {
			t.Error(err)
		}
		p.drain()
		if x := p.fake.rx[rid.Reveal()]; x.state != protocol.NotDelivered || x.delivered != 1 || x.archived != 0 || len(p.all()) != 0 {
			t.Errorf("%+v, %d reports", x, len(p.all()))
		}
	})
}
