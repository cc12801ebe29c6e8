package insurability

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
)

// rung is a client whose platform can be switched, with stored answers, in a bubble.
type rung struct {
	*testing.T
	p       *platform
	answers *cache.Answers
	path    string // of the answers

	mu      sync.Mutex
	told    []Source
	checked []Recheck
}

func ladder(t *testing.T) *rung {
	t.Helper()
	k, err := cache.KeyFromBytes(bytes.Repeat([]byte{7}, cache.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	r := &rung{T: t, p: &platform{}, path: filepath.Join(t.TempDir(), "answers.db")}
	if r.answers, err = cache.OpenAnswers(t.Context(), r.path, k); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.answers.Close(); err != nil {
			t.Error(err)
		}
	})
	r.answer(urlLive, genIns(t, "genins-response-insured.xml", nil))
	return r
}

func (r *rung) client(caller Caller, opts ...Option) *Client {
	r.Helper()
	c := connect(r.T, r.p, caller, append([]Option{
		WithStored(r.answers), WithEnvironment("test"), OnRecheck(func(x Recheck) { r.mu.Lock(); defer r.mu.Unlock(); r.checked = append(r.checked, x) }),
		OnAnswer(func(_ string, s Source) { r.mu.Lock(); defer r.mu.Unlock(); r.told = append(r.told, s) }),
	}, opts...)...)
	r.Cleanup(func() {
		if err := c.Close(); err != nil {
			r.Error(err)
		}
	})
	return c
}

// set changes what the addresses do; nil: no connection.
func (r *rung) set(answer func(*xmltree.Node) (int, io.Reader)) {
	r.answer(urlLive, answer)
	r.answer(urlAlternate, answer)
}

// answer changes what one address does.
func (r *rung) answer(url string, answer func(*xmltree.Node) (int, io.Reader)) {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	if r.p.answer == nil {
		r.p.answer = map[string]func(*xmltree.Node) (int, io.Reader){}
	}
	r.p.answer[url] = answer
	if answer == nil {
		delete(r.p.answer, url)
	}
}

// sent returns how many requests left since it was last asked.
func (r *rung) sent() int {
	r.p.mu.Lock()
	defer r.p.mu.Unlock()
	n := len(r.p.asked)
	r.p.asked = nil
	return n
}

// done returns the checks that were told.
func (r *rung) done() []Recheck {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Recheck(nil), r.checked...)
}

func (r *rung) ask(c *Client, q Query, want Source) *Answer {
	r.Helper()
	start := time.Now()
	a, err := c.Check(r.Context(), q)
	if d := time.Since(start); d > DefaultTimeout {
		r.Errorf("took %v", d)
	}
	if a == nil || a.Source != want || (err != nil) != (want == Unknown) {
		r.Fatalf("got %v, %v, want %v", a, err, want)
	}
	n, said := a.Message()
	if said != (want != Live) || string(a.Notice) != "" && !said {
		r.Errorf("notice %q, text %q", a.Notice, n.Text(notice.EN))
	}
	if said && string(n.ID()) != a.Notice {
		r.Errorf("notice %q with the text of %q", a.Notice, n.ID())
	}
	if fe, ok := errors.AsType[*fault.Error](a.Cause); (want == Stored || want == Unknown) != ok || ok && fe.Kind == 0 {
		r.Errorf("cause %v", a.Cause)
	}
	if want == Unknown && (a.Insured != NotKnown || a.PaymentGuaranteed || err != a.Cause || a.GenIns != nil) {
		r.Errorf("%v %v says something", a, err)
	}
	return a
}

// bubble runs a test of the ladder at an instant.
func bubble(t *testing.T, at time.Time, f func(*rung)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(at))
		f(ladder(t))
	})
}

var winter = time.Date(2030, 1, 15, 10, 0, 0, 0, brussels)

func TestLadder(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		c := r.client(doctor)
		q := Query{Patient: ssinInsured}
		live := r.ask(c, q, Live)
		if live.Recheck != "" || live.Age != 0 || live.PaymentGuaranteed {
			r.Errorf("%+v", live.Provenance)
		}
		r.set(nil)
		at := time.Now()
		time.Sleep(3*24*time.Hour + 5*time.Hour)
		a := r.ask(c, q, Stored)
		if a.Insured != Yes || a.CT1 != live.CT1 || a.Mutuality != live.Mutuality || a.SSIN != live.SSIN || a.Items[0] != live.Items[0] {
			r.Errorf("%+v, want %+v", a, live)
		}
		if !a.ConsultedAt.Equal(live.ConsultedAt) || a.Age < time.Since(at) || a.DaysOld() != 3 || a.Asked != OneDay(Today()) || a.Endpoint != urlLive {
			r.Errorf("%+v", a.Provenance)
		}
		if a.References != live.References || a.MessageID != live.MessageID {
			r.Errorf("references %+v, want %+v", a.References, live.References)
		}
		if text := mustMessage(r, a).Text(notice.EN); !strings.Contains(text, "3 days ago") || strings.Contains(text, "guaranteed") {
			r.Error(text)
		}
		r.ask(c, Query{Patient: identity.MustSSIN("15073199817")}, Unknown)
		if len(r.told) != 3 || r.told[0] != Live || r.told[1] != Stored || r.told[2] != Unknown {
			r.Error(r.told)
		}
	})
}

func mustMessage(r *rung, a *Answer) notice.Notice {
	r.Helper()
	n, ok := a.Message()
	if !ok {
		r.Fatal("no text")
	}
	return n
}

// TestThirtyDays is the bound, on both sides of it, in winter and across both changes of the clock (dossier 06 B.4.2).
func TestThirtyDays(t *testing.T) {
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		at    time.Time
		limit time.Duration // the first age that is too old
	}{
		"winter": {winter, 30 * day},
		// The night of 31 March 2030 has 23 hours: 30 days of the calendar are over an hour earlier.
		"spring": {time.Date(2030, 3, 20, 10, 0, 0, 0, brussels), 30*day - time.Hour},
		// That of 27 October has 25: 30 times 24 hours are over first.
		"autumn":      {time.Date(2030, 10, 10, 10, 0, 0, 0, brussels), 30 * day},
		"at midnight": {time.Date(2030, 1, 15, 0, 0, 0, 0, brussels), 30 * day},
		// 30 days later this time of day does not exist; it is called 3:30 then.
		"into the gap": {time.Date(2030, 3, 1, 2, 30, 0, 0, brussels), 30 * day},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, tt.at, func(r *rung) {
				c := r.client(doctor)
				q := Query{Patient: ssinInsured}
				asked := r.ask(c, q, Live).ConsultedAt
				r.set(nil)
				for _, step := range []struct {
					age  time.Duration
					want Source
				}{
					{29*day + 22*time.Hour, Stored}, {tt.limit - time.Minute, Stored}, {tt.limit, Unknown}, {31 * day, Unknown},
				} {
					time.Sleep(time.Until(asked.Add(step.age)))
					r.ask(c, q, step.want)
				}
			})
		})
	}
	if until := storedUntil(winter); !until.Equal(winter.Add(30 * day)) {
		t.Error(until)
	}
	for _, tt := range []struct {
		age  time.Duration
		want bool
	}{{-time.Second, false}, {0, true}, {29*day + 23*time.Hour, true}, {30*day - 1, true}, {30 * day, false}, {31 * day, false}} {
		if got := fresh(Yes, winter, winter.Add(tt.age)); got != tt.want {
			t.Errorf("age %v: %v", tt.age, got)
		}
	}
}

// TestStoredPharmacist: with a payment approval the guarantee is kept, and nobody else's.
func TestStoredPharmacist(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		r.set(nil)
		r.answer(urlAlternate, pharmacist(r.T, nil))
		c := r.client(pharmacy)
		q := Query{Patient: ssinInsured}
		live := r.ask(c, q, Alternate)
		if !live.PaymentGuaranteed {
			r.Error("no guarantee with a payment approval")
		}
		r.set(nil)
		time.Sleep(12 * 24 * time.Hour)
		a := r.ask(c, q, Stored)
		if !a.PaymentGuaranteed || a.PaymentApproval != live.PaymentApproval || a.References != live.References || a.Pharmacist == nil {
			r.Errorf("%+v", a.Provenance)
		}
		if text := mustMessage(r, a).Text(notice.EN); !strings.Contains(text, "12 days ago); payment is guaranteed") {
			r.Error(text)
		}
	})
	for q, want := range map[identity.Quality]bool{
		identity.Pharmacy: true, identity.Pharmacist: true, identity.Doctor: true, identity.GuardPost: true,
		identity.Hospital: false, identity.MedicalHouse: false, identity.Midwife: false, identity.Dentist: false,
	} {
		if guaranteed(q, Yes, "x") != want || guaranteed(q, Yes, "") || guaranteed(q, No, "x") || guaranteed(q, NotKnown, "x") {
			t.Error(q)
		}
	}
}

// TestOnlyTheSame: a stored answer is for the same asker, patient and kind of question, and no other.
func TestOnlyTheSame(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		r.ask(r.client(doctor), Query{Patient: ssinInsured}, Live)
		r.set(nil)
		other := doctor
		other.NIHII = identity.MustNIHII("19999915002")
		sameNumber := doctor
		sameNumber.SSIN = ssinInsured
		for name, tt := range map[string]struct {
			c *Client
			q Query
		}{
			"another asker":           {r.client(other), Query{Patient: ssinInsured}},
			"another person":          {r.client(sameNumber), Query{Patient: ssinInsured}},
			"another service":         {r.client(pharmacy), Query{Patient: ssinInsured}},
			"another environment":     {r.client(doctor, WithEnvironment("production")), Query{Patient: ssinInsured}},
			"another value of test":   {r.client(doctor, WithTest(true)), Query{Patient: ssinInsured}},
			"another patient":         {r.client(doctor), Query{Patient: identity.MustSSIN("15073199817")}},
			"an insurer named":        {r.client(doctor), Query{Patient: ssinInsured, Mutuality: mutuality}},
			"by registration number":  {r.client(doctor), Query{RegNr: Hide(ssinInsured.Reveal()), Mutuality: mutuality}},
			"another contact":         {r.client(doctor), Query{Patient: ssinInsured, ContactType: HospitalizedForDay}},
			"a day before the answer": {r.client(doctor), Query{Patient: ssinInsured, Date: Today().AddDays(-1)}},
		} {
			a, err := tt.c.Check(r.Context(), tt.q)
			if err == nil || a == nil || a.Source != Unknown {
				r.Errorf("%s: %v, %v", name, a, err)
			}
		}
		r.ask(r.client(doctor), Query{Patient: ssinInsured, Reference: "ANOTHER"}, Stored)
	})
}

// TestCopiedRecord: whoever copies a record of one asker to the place of another's on disk gains nothing.
func TestCopiedRecord(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		a, other := r.client(doctor), doctor
		other.NIHII = identity.MustNIHII("19999915002")
		b := r.client(other)
		r.ask(a, Query{Patient: ssinInsured}, Live)
		scope := append(patientScope(CareReceiverID{SSIN: Hide(ssinInsured.Reveal())}), string(Information), string(AmbulatoryCare))
		from, to := a.id(ServiceGenIns, scope, OneDay(Today()), Today()), b.id(ServiceGenIns, scope, OneDay(Today()), Today())
		if _, err := r.answers.Get(r.Context(), from); err != nil {
			r.Fatal("the id is another: ", err)
		}
		if err := r.answers.Close(); err != nil {
			r.Fatal(err)
		}
		r.set(nil)
		moved := forge(r, from, to)
		r.answers = moved
		got, err := r.client(other).Check(r.Context(), Query{Patient: ssinInsured})
		if got == nil || got.Source != Unknown || !errors.Is(err, cache.ErrCorrupt) {
			r.Errorf("%v, %v", got, err)
		}
	})
}

// swapped is a store that gives the record of one id for another.
type swapped struct {
	cache.RecordStore
	from, to [32]byte
}

func (s swapped) Load(ctx context.Context, id [32]byte) ([]byte, error) {
	if id == s.to {
		id = s.from
	}
	return s.RecordStore.Load(ctx, id)
}

func forge(r *rung, from, to cache.AnswerID) *cache.Answers {
	r.Helper()
	k, err := cache.KeyFromBytes(bytes.Repeat([]byte{7}, cache.KeySize))
	if err != nil {
		r.Fatal(err)
	}
	s, err := cache.OpenRecords(r.path)
	if err != nil {
		r.Fatal(err)
	}
	a, err := cache.NewAnswers(r.Context(), swapped{s, from, to}, k)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = a.Close() })
	return a
}

// TestNegative: a no stands for the rest of its day and takes the place of an earlier yes; on the next day nothing is known.
func TestNegative(t *testing.T) {
	no := func(x *GenInsResponse) {
		x.Response.Detail.List = nil
		x.Response.Detail.Situation = &GeneralSituation{Event: ClosedBefore}
	}
	bubble(t, winter, func(r *rung) {
		c := r.client(doctor)
		q := Query{Patient: ssinInsured}
		r.ask(c, q, Live)
		r.answer(urlLive, genIns(r.T, "genins-response-insured.xml", no))
		if a := r.ask(c, q, Live); a.Insured != No {
			r.Fatal(a)
		}
		r.set(nil)
		time.Sleep(5 * time.Hour)
		if a := r.ask(c, q, Stored); a.Insured != No || a.PaymentGuaranteed {
			r.Error(a)
		}
		time.Sleep(9 * time.Hour) // past midnight
		r.ask(c, q, Unknown)
	})
}

// TestContradicted: a refusal that says otherwise ends what was stored; one about the form of the question does not, and
// neither is answered from the store.
func TestContradicted(t *testing.T) {
	for file, after := range map[string]Source{
		"genins-response-fault-noio.xml": Unknown, "genins-response-fault-multiio.xml": Unknown, "genins-response-fault-input.xml": Stored,
	} {
		bubble(t, winter, func(r *rung) {
			c := r.client(doctor)
			q := Query{Patient: ssinInsured}
			r.ask(c, q, Live)
			r.set(genIns(r.T, file, nil))
			a, err := c.Check(r.Context(), q)
			if _, refused := errors.AsType[*MessageFault](err); a != nil || !refused {
				r.Errorf("%s: %v, %v", file, a, err)
			}
			r.set(nil)
			r.ask(c, q, after)
		})
	}
}

// TestStepsDown: which failures of the addresses let the store answer.
func TestStepsDown(t *testing.T) {
	insured := "genins-response-insured.xml"
	for name, tt := range map[string]struct {
		answer func(*testing.T) func(*xmltree.Node) (int, io.Reader)
		want   Source // 0: the failure is told
	}{
		"no connection": {nil, Stored},
		"both hang":     {func(*testing.T) func(*xmltree.Node) (int, io.Reader) { return reply(0, "") }, Stored},
		"gray page": {func(*testing.T) func(*xmltree.Node) (int, io.Reader) {
			return reply(http.StatusServiceUnavailable, "<html>")
		}, Stored},
		"busy": {func(*testing.T) func(*xmltree.Node) (int, io.Reader) { return reply(http.StatusTooManyRequests, "") }, Stored},
		"fault": {func(t *testing.T) func(*xmltree.Node) (int, io.Reader) {
			return reply(http.StatusInternalServerError, string(sample(t, "genins-soapfault-SOA-02002.xml")))
		}, Stored},
		"damaged": {func(t *testing.T) func(*xmltree.Node) (int, io.Reader) {
			return damaged(t, `<Status><Code>200</Code><Message>SYNTHETIC</Message></Status>`)
		}, Stored},
		"wrong asker": {func(t *testing.T) func(*xmltree.Node) (int, io.Reader) {
			return genIns(t, insured, func(r *GenInsResponse) { r.Response.Patient.SSIN = Hide("15073199817") })
		}, Stored},
		"status 500": {func(t *testing.T) func(*xmltree.Node) (int, io.Reader) {
			return genIns(t, insured, func(r *GenInsResponse) { r.Status.Code = "500" })
		}, Stored},
		"status 400": {func(t *testing.T) func(*xmltree.Node) (int, io.Reader) {
			return genIns(t, insured, func(r *GenInsResponse) { r.Status.Code = "400" })
		}, 0},
		"status 300": {func(t *testing.T) func(*xmltree.Node) (int, io.Reader) {
			return damaged(t, `<Status><Code>300</Code><Message>SYNTHETIC</Message></Status>`)
		}, 0},
		"refused": {func(t *testing.T) func(*xmltree.Node) (int, io.Reader) {
			return genIns(t, "genins-response-fault-input.xml", nil)
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, winter, func(r *rung) {
				c := r.client(doctor)
				q := Query{Patient: ssinInsured}
				r.ask(c, q, Live)
				if tt.answer == nil {
					r.set(nil)
				} else {
					r.set(tt.answer(r.T))
				}
				if tt.want != 0 {
					r.ask(c, q, tt.want)
					return
				}
				if a, err := c.Check(r.Context(), q); a != nil || err == nil {
					r.Errorf("%v, %v", a, err)
				}
			})
		})
	}
	bubble(t, winter, func(r *rung) {
		c := r.client(doctor)
		r.ask(c, Query{Patient: ssinInsured}, Live)
		r.set(reply(0, ""))
		ctx, cancel := context.WithCancel(r.Context())
		time.AfterFunc(time.Second, cancel)
		if a, err := c.Check(ctx, Query{Patient: ssinInsured}); a != nil || !errors.Is(err, context.Canceled) {
			r.Errorf("who gave up got %v, %v", a, err)
		}
		short, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if a, err := c.Check(short, Query{Patient: ssinInsured}); err != nil || a.Source != Stored || time.Since(start) >= time.Second {
			r.Errorf("who had a second got %v, %v after %v", a, err, time.Since(start))
		}
	})
}
