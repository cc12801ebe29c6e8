package recipe_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// surgery is a doctor of the sandbox who prescribes.
type surgery struct {
	t       *testing.T
	sb      *sandbox.Sandbox
	person  *sandbox.Person
	patient sandbox.Patient
	engine  *resilience.Engine
	p       *recipe.Prescriber
	box     *outbox.Box
	file    string
	options []recipe.Option
	link    recipe.Platform
	events  chan recipe.Event
	pauses  time.Duration // the longest between two tries of the outbox; 0 = as by default
	stop    context.CancelFunc
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// inSandbox runs a test with a doctor on virtual time.
func inSandbox(t *testing.T, f func(*testing.T, *surgery), opts ...recipe.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sb, err := sandbox.New(sandbox.Config{Seed: 5, Patients: 20})
		ok(t, err)
		t.Cleanup(func() { _ = sb.Close() })
		f(t, newSurgery(t, sb, 0, opts...))
	})
}

func newSurgery(t *testing.T, sb *sandbox.Sandbox, n int, opts ...recipe.Option) *surgery {
	t.Helper()
	s := &surgery{t: t, sb: sb, person: sb.Person(identity.Doctor, n), patient: sb.Patients()[n], events: make(chan recipe.Event, 100)}
	s.file = filepath.Join(t.TempDir(), "outbox.db")
	s.options = append([]recipe.Option{recipe.WithProgramID("test/1.0"), recipe.WithEvents(func(e recipe.Event) { s.events <- e })}, opts...)
	http := sb.HTTPClient()
	t.Cleanup(http.CloseIdleConnections)
	s.link, s.engine = link(t, sb, s.person, http)
	s.open()
	t.Cleanup(s.close)
	return s
}

// link wires what a prescriber needs.
func link(t *testing.T, sb *sandbox.Sandbox, who *sandbox.Person, client *http.Client) (recipe.Platform, *resilience.Engine) {
	t.Helper()
	return linkAs(t, sb, who, who, client, doctorLogin(who))
}

func doctorLogin(who *sandbox.Person) sts.Identity {
	return sts.Identity{Quality: who.Role, SSIN: who.SSIN}
}

// holder has a key store.
type holder interface {
	Keystore(password string) ([]byte, error)
}

func load(t *testing.T, h holder) (*keystore.Store, keystore.Credential) {
	t.Helper()
	file, err := h.Keystore("password")
	ok(t, err)
	keys, err := keystore.Load(file, "password")
	ok(t, err)
	auth, err := keys.Authentication()
	ok(t, err)
	return keys, auth
}

// linkAs does for an organisation, for which a person logs in.
func linkAs(t *testing.T, sb *sandbox.Sandbox, owner, who holder, client *http.Client, as sts.Identity) (recipe.Platform, *resilience.Engine) {
	t.Helper()
	return linkTo(t, sb, owner, who, client, as, nil)
}

// linkTo asks some services at other addresses.
func linkTo(t *testing.T, sb *sandbox.Sandbox, owner, who holder, client *http.Client, as sts.Identity, instead map[string]string) (recipe.Platform, *resilience.Engine) {
	t.Helper()
	keys, auth := load(t, owner)
	person := auth
	if who != owner { // deriving the keys of a key store takes long
		_, person = load(t, who)
	}
	return linkWith(t, sb, keys, auth, person, client, as, instead)
}

// linkWith signs with auth, and logs in as person.
func linkWith(t *testing.T, sb *sandbox.Sandbox, keys *keystore.Store, auth, person keystore.Credential, client *http.Client, as sts.Identity, instead map[string]string) (recipe.Platform, *resilience.Engine) {
	t.Helper()
	dir := resilience.Static{}
	for id, eps := range sb.Services() {
		for _, e := range eps {
			dir[id] = append(dir[id], resilience.Endpoint(e))
		}
	}
	for id, url := range instead {
		dir[id] = []resilience.Endpoint{{URL: url, Active: true}}
	}
	engine, err := resilience.New(resilience.Config{})
	ok(t, err)
	t.Cleanup(engine.Close)
	x, err := exchange.New(exchange.Options{HTTP: client, Directory: dir, Engine: engine, UserAgent: "test/1.0", From: "test@example.be"})
	ok(t, err)
	roots := x509.NewCertPool()
	for _, c := range sb.CA() {
		roots.AddCert(c)
	}
	login, err := sts.New(x, sts.Config{Identification: person, HolderOfKey: auth, Trust: sts.Trust{Roots: roots}})
	ok(t, err)
	tokens, err := sts.Cached(login.Source(sts.Request{Identity: as}))
	ok(t, err)
	security := sts.HolderOfKey(tokens)
	trust := etee.Trust{Roots: sb.Roots()}
	depot, err := etee.NewDepot(x, etee.DepotConfig{Trust: trust})
	ok(t, err)
	sealer, err := etee.NewSealer(auth)
	ok(t, err)
	opener, err := etee.NewOpener(keys, trust, etee.Policy{NonRepudiation: true, Window: -1})
	ok(t, err)
	kgss, err := etee.NewKGSS(x, etee.KGSSConfig{Depot: depot, Sealer: sealer, Keys: keys, Trust: trust, Security: security})
	ok(t, err)
	return recipe.Platform{
		Exchange: x, Security: security, Depot: depot, KGSS: kgss, Sealer: sealer, Opener: opener, Tokens: tokens, Engine: engine,
	}, engine
}

// open begins or goes on with the outbox: a new process.
func (s *surgery) open() {
	s.t.Helper()
	var err error
	s.p, err = recipe.NewPrescriber(s.link, recipe.Caller{NIHII: s.person.NIHII, Quality: identity.Doctor, SSIN: s.person.SSIN}, s.options...)
	ok(s.t, err)
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	ok(s.t, err)
	disk, err := outbox.OpenBolt(s.file)
	ok(s.t, err)
	opts := append(s.handle(), outbox.WithPace(-1, -1, -1), outbox.WithGrace(-1), outbox.WithEvents(func(e outbox.Event) { s.p.Observe(e) }))
	s.box, err = outbox.Open(s.t.Context(), disk, outbox.NewKeys(key), opts...)
	ok(s.t, err)
	s.p.Use(s.box)
	s.stop = func() {}
}

// work starts the background work of the outbox.
func (s *surgery) work() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = s.box.Run(ctx) }()
	s.stop = func() { cancel(); <-done }
}

func (s *surgery) close() {
	s.stop()
	s.stop = func() {}
	_ = s.box.Close()
}

// reopen is the next process on the same disk.
func (s *surgery) reopen() {
	s.close()
	s.open()
}

func (s *surgery) inject(rows string) (cancel func()) {
	s.t.Helper()
	sc, err := sandbox.ParseScript(rows)
	ok(s.t, err)
	a, err := s.sb.Apply(sc)
	ok(s.t, err)
	return a.Cancel
}

// everything that Recip-e made.
func (s *surgery) made() int { return len(s.sb.Prescriptions()) }

func (s *surgery) prescription() kmehr.Prescription {
	cnk, err := identity.NewCNK("123456")
	ok(s.t, err)
	y, m, d := s.patient.Birth.Date()
	return kmehr.Prescription{
		Author: kmehr.Author{
			NIHII: s.person.NIHII, FirstName: kmehr.Hide(s.person.FirstName), FamilyName: kmehr.Hide(s.person.LastName), Phone: kmehr.Hide("+3220000000"),
			Address: kmehr.Address{Zip: kmehr.Hide("1000"), City: kmehr.Hide("Samplecity"), Street: kmehr.Hide("Samplestreet"), Number: kmehr.Hide("1")},
		},
		Software: kmehr.Software{Name: "test", Version: "1.0", Phone: "+3220000000", Email: "support@example.invalid"},
		Source:   kmehr.Source{Version: "SAMPLE"},
		Patient: kmehr.Patient{
			SSIN: s.patient.SSIN, FirstName: kmehr.Hide(s.patient.FirstName), FamilyName: kmehr.Hide(s.patient.LastName), Birth: kmehr.NewDay(y, m, d),
		},
		Items: []kmehr.Item{{
			Medicine: &kmehr.Medicine{CNK: cnk, Name: kmehr.Hide("Sampelium 10 mg")}, Posology: kmehr.Text{Lang: "fr", Text: kmehr.Hide("1 par jour")},
			Quantity: kmehr.Quantity{Value: "1"},
		}},
	}
}

func (s *surgery) request(reference string) recipe.CreateRequest {
	return recipe.CreateRequest{Reference: reference, Prescription: s.prescription(), Type: identity.PrescriptionP0}
}

func (s *surgery) create(reference string) (*recipe.Created, error) {
	return s.p.Create(s.t.Context(), s.request(reference))
}

func (s *surgery) mustCreate(reference string) *recipe.Created {
	s.t.Helper()
	c, err := s.create(reference)
	ok(s.t, err)
	return c
}

// state wants an outcome.
func (s *surgery) state(reference string, want recipe.OutcomeState) recipe.Outcome {
	s.t.Helper()
	out, err := s.p.Outcome(s.t.Context(), reference)
	ok(s.t, err)
	if out.State != want {
		s.t.Fatalf("%s is %s, not %s", reference, out.State, want)
	}
	return out
}

// A prescription is created cold, with its trips told, and warm, in a single request; it is read, listed and revoked.
func TestCreate(t *testing.T) {
	inSandbox(t, func(t *testing.T, s *surgery) {
		cold := s.mustCreate("one")
		if cold.Trips[0] != recipe.TripLogin || !slices.Contains(cold.Trips, recipe.TripTokens) || !slices.Contains(cold.Trips, recipe.TripKey) ||
			cold.Trips[len(cold.Trips)-1] != recipe.TripSend || cold.Notice != "" {
			t.Errorf("trips %v, notice %q", cold.Trips, cold.Notice)
		}
		ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
		before := s.requests()
		warm := s.mustCreate("two")
		if n := s.requests() - before; n != 1 || !slices.Equal(warm.Trips, []string{recipe.TripSend}) {
			t.Errorf("%d requests, trips %v", n, warm.Trips)
		}
		if again := s.mustCreate("two"); !again.Before || again.RID != warm.RID || s.made() != 2 {
			t.Errorf("again: %v, %d made", again.Before, s.made())
		}
		got, err := s.p.Get(t.Context(), warm.RID)
		ok(t, err)
		if v := got.Message.Prescription(); v.Patient.SSIN != s.patient.SSIN || v.Items[0].Medicine.Name.Reveal() != "Sampelium 10 mg" {
			t.Error("another document came back")
		}
		ok(t, s.p.Revoke(t.Context(), warm.RID, identity.Hide("mistake")))
		ok(t, s.p.Revoke(t.Context(), warm.RID, identity.Hide("mistake")))
		if p, _ := s.sb.Prescription(warm.RID.Reveal()); p.Status != sandbox.Revoked {
			t.Errorf("state %s", p.Status)
		}
	})
}

// requests counts what reached the sandbox.
func (s *surgery) requests() (n int) {
	for _, k := range s.sb.State().Requests {
		n += k
	}
	return n
}

// wantNotCreated wants certainty, with paper allowed.
func (s *surgery) wantNotCreated(reference string, err error) {
	s.t.Helper()
	e, is := errors.AsType[*recipe.NotCreatedError](err)
	f, whole := errors.AsType[*fault.Error](err)
	if !is || !whole || f.Notice != recipe.NoticePaper || f.Outcome != fault.NotSent && f.Outcome != fault.Rejected {
		s.t.Fatalf("error %v", err)
	}
	if e.Reference != reference {
		s.t.Errorf("about %q", e.Reference)
	}
	if s.made() != 0 {
		s.t.Fatalf("%d made", s.made())
	}
	permit, err := s.p.Paper(s.t.Context(), reference)
	ok(s.t, err)
	if permit.IsZero() || permit.Reference() != reference {
		s.t.Error("no permit")
	}
	if _, err := s.create(reference); !errors.Is(err, recipe.ErrPaperGiven) {
		s.t.Errorf("after paper: %v", err)
	}
	s.state(reference, recipe.OutcomePaper)
	if s.made() != 0 {
		s.t.Fatalf("%d made after paper", s.made())
	}
}

// What fails before sending is certain, and frees paper; what was prepared needs none of it.
func TestNothingSent(t *testing.T) {
	for _, row := range []string{
		"sts 0 to_end http status=503;body=html", "etk 0 to_end http status=503;body=html", "kgss 0 to_end http status=503;body=html",
		"kgss 0 to_end fault code=SOA-02002", "etk 0 to_end fault code=SOA-02002", "kgss 0 to_end hang", "etk 0 to_end hang",
		"recipe-presc 0 to_end refuse\nrecipe-direct 0 to_end refuse", "net 0 to_end refuse",
	} {
		t.Run(row, func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				s.inject(row)
				began := time.Now()
				_, err := s.create("cold")
				if d := time.Since(began); d > recipe.DefaultTimeout+time.Second {
					t.Errorf("took %s", d)
				}
				s.wantNotCreated("cold", err)
			})
		})
	}
	t.Run("warm", func(t *testing.T) {
		inSandbox(t, func(t *testing.T, s *surgery) {
			ok(t, s.p.Prepare(t.Context(), s.patient.SSIN, 1))
			s.inject("etk 0 to_end hang\nkgss 0 to_end hang\nsts 0 to_end hang")
			if c := s.mustCreate("warm"); !slices.Equal(c.Trips, []string{recipe.TripSend}) {
				t.Errorf("trips %v", c.Trips)
			}
		})
	})
}
