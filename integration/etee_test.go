package integration

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/keystore"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/sandbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// sealer is a person of a sandbox with everything that sealing needs.
type sealer struct {
	person *sandbox.Person
	store  *keystore.Store
	trust  etee.Trust
	x      *exchange.Exchanger
	depot  *etee.Depot
	kgss   *etee.KGSS
	*etee.Sealer
	*etee.Opener
}

func (w *world) sealer(t *testing.T, quality identity.Quality, n int, conf etee.DepotConfig, service ...etee.Identifier) *sealer {
	t.Helper()
	person := w.sb.Person(quality, n)
	file, err := person.Keystore("password")
	if err != nil {
		t.Fatal(err)
	}
	s := &sealer{person: person, trust: etee.Trust{Roots: w.sb.Roots()}}
	if s.store, err = keystore.Load(file, "password"); err != nil {
		t.Fatal(err)
	}
	auth, err := s.store.Authentication()
	if err != nil {
		t.Fatal(err)
	}
	cfg := w.doctor(t, 0)
	cfg.Identity = s.store
	cfg.Caller.Quality, cfg.Caller.NIHII, cfg.Caller.SSIN, cfg.Caller.Name = quality, person.NIHII, person.SSIN, person.Name()
	s.x, err = exchange.New(exchange.Options{
		HTTP: w.sb.HTTPClient(), UserAgent: "test/1.0", From: "support@example.test", Directory: resilience.Static(cfg.Services),
	})
	if err != nil {
		t.Fatal(err)
	}
	conf.Trust = s.trust
	if s.depot, err = etee.NewDepot(s.x, conf); err != nil {
		t.Fatal(err)
	}
	if s.Sealer, err = etee.NewSealer(auth); err != nil {
		t.Fatal(err)
	}
	if s.Opener, err = etee.NewOpener(s.store, s.trust, etee.Policy{NonRepudiation: true}); err != nil {
		t.Fatal(err)
	}
	s.kgss, err = etee.NewKGSS(s.x, etee.KGSSConfig{
		Depot: s.depot, Sealer: s.Sealer, Keys: s.store, Trust: s.trust, Service: service,
		Security: sts.HolderOfKey(w.open(t, cfg).Tokens),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func identifier(t *testing.T, kind identity.IdentifierType, number, application string) etee.Identifier {
	t.Helper()
	id, err := etee.NewIdentifier(kind, number, application)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestETKDepot asks the depot for everybody it knows, and for some it does not.
func TestETKDepot(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		s := w.sealer(t, identity.Doctor, 0, etee.DepotConfig{})
		other := w.sb.Person(identity.Doctor, 1)
		for name, tt := range map[string]struct {
			id   etee.Identifier
			want int
			kind fault.Kind
		}{
			"person":               {identifier(t, identity.TypeSSIN, other.SSIN.Reveal(), ""), 1, 0},
			"person by NIHII":      {identifier(t, identity.TypeNIHII, other.NIHII.Reveal(), ""), 1, 0},
			"key service":          {etee.KGSSIdentifier, 1, 0},
			"Recip-e":              {etee.RecipeIdentifier, 1, 0},
			"MyCareNet":            {etee.MyCareNetIdentifier, 1, 0},
			"all of one number":    {identifier(t, identity.TypeCBE, "820563481", ""), 2, 0},
			"unknown application":  {identifier(t, identity.TypeCBE, "0809394427", "NOBODY"), 0, fault.NotFound},
			"nobody":               {identifier(t, identity.TypeSSIN, "70010100188", ""), 0, fault.NotFound},
			"Recip-e's new number": {etee.RecipeNewIdentifier, 0, fault.NotFound},
			"wrong check digits":   {identifier(t, identity.TypeSSIN, "70010100199", ""), 0, fault.Invalid},
		} {
			found, err := s.depot.Get(t.Context(), tt.id)
			if len(found.Tokens) != tt.want || fault.KindOf(err) != tt.kind {
				t.Errorf("%s: %v, %v", name, found, err)
			}
			if err != nil && !errors.As(err, new(*etee.DepotError)) {
				t.Errorf("%s: %v", name, err)
			}
		}
		auth, err := s.store.Authentication()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.depot.Own(t.Context(), auth.Certificate, s.store); err != nil {
			t.Error(err)
		}
	})
}

// TestSealedLetter goes from one person to another, in an outage of the depot and after a restart too.
func TestSealedLetter(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		key, err := cache.KeyFromBytes(bytes.Repeat([]byte{1}, cache.KeySize))
		if err != nil {
			t.Fatal(err)
		}
		vault, err := cache.OpenVault(t.TempDir(), key)
		if err != nil {
			t.Fatal(err)
		}
		conf := etee.DepotConfig{Store: etee.FileStore(vault), OnError: func(err error) { t.Error(err) }}
		from, to := w.sealer(t, identity.Doctor, 0, conf), w.sealer(t, identity.Doctor, 1, etee.DepotConfig{})
		id := identifier(t, identity.TypeNIHII, to.person.NIHII.Reveal(), "")
		send := func(stale bool) {
			t.Helper()
			found, err := from.depot.Get(t.Context(), id)
			if err != nil || found.Stale != stale {
				t.Fatalf("%v, %v", found, err)
			}
			sealed, err := from.Seal([]byte("letter"), found.Recipients()...)
			if err != nil {
				t.Fatal(err)
			}
			m, err := to.Open(sealed)
			if err != nil || string(m.Content) != "letter" || m.Report.Warnings != nil {
				t.Fatalf("%v, %v", m, err)
			}
			if sender, err := m.Report.Sender(); err != nil || sender.SSIN != from.person.SSIN {
				t.Errorf("%v, %v", sender, err)
			}
		}
		send(false)
		time.Sleep(9 * time.Hour)
		w.inject(t, "etk 0 3600 refuse")
		from = w.sealer(t, identity.Doctor, 0, conf)
		send(true)
		w.sb.ClearFaults()
		time.Sleep(time.Minute)
		send(false)
		// A renewal: the depot has the new token at once, and whoever seals for the former key is still understood.
		if err := w.sb.RotateKey(sandbox.Holder{Type: identity.TypeSSIN, Number: to.person.SSIN.Reveal()}); err != nil {
			t.Fatal(err)
		}
		send(false)
	})
}

// doctors is a list that lets every doctor read.
func doctors() etee.ACL {
	return etee.ACL{Allowed: []etee.Reader{{Namespace: etee.NamespaceCertified, Name: "urn:be:fgov:person:ssin:ehealth:1.0:doctor:nihii11"}}}
}

// TestKeyService: a message for whoever is on a list, read by one who is and by nobody else.
func TestKeyService(t *testing.T) {
	inBubble(t, func(t *testing.T, w *world) {
		from, reader, stranger := w.sealer(t, identity.Doctor, 0, etee.DepotConfig{}), w.sealer(t, identity.Doctor, 1, etee.DepotConfig{}), w.sealer(t, identity.Dentist, 0, etee.DepotConfig{})
		kek, err := from.kgss.NewKey(t.Context(), doctors())
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := from.Seal([]byte("prescription"), etee.ForKEK(kek))
		if err != nil {
			t.Fatal(err)
		}
		same, err := reader.kgss.Key(t.Context(), kek.ID())
		if err != nil {
			t.Fatal(err)
		}
		if m, err := reader.Open(sealed, etee.WithKEK(same)); err != nil || string(m.Content) != "prescription" {
			t.Errorf("%v, %v", m, err)
		}
		if _, err := stranger.kgss.Key(t.Context(), kek.ID()); !errors.Is(err, fault.ErrDenied) || !errors.Is(err, fault.ErrRejected) {
			t.Errorf("not on the list: %v", err)
		}
		var refused *etee.KGSSError
		if _, err := reader.kgss.Key(t.Context(), []byte("no such key 1234")); !errors.As(err, &refused) || refused.Code == "" {
			t.Errorf("unknown key: %v", err)
		}
		out := doctors()
		out.Excluded = []etee.Reader{{Namespace: etee.NamespaceIdentification, Name: "urn:be:fgov:person:ssin", Values: []string{reader.person.SSIN.Reveal()}}}
		without, err := from.kgss.NewKey(t.Context(), out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reader.kgss.Key(t.Context(), without.ID()); !errors.Is(err, fault.ErrDenied) {
			t.Errorf("excluded: %v", err)
		}
		// Keys made ready, and one read before, serve in an outage.
		if err := from.kgss.Prepare(t.Context(), doctors(), 1); err != nil {
			t.Fatal(err)
		}
		// An answer, not a refused connection: one that is open already may outlive the beginning of that.
		w.inject(t, "kgss 0 3600 http status=503;body=html", "etk 0 3600 http status=503;body=html")
		if _, err := from.kgss.NewKey(t.Context(), doctors()); err != nil {
			t.Errorf("made ready: %v", err)
		}
		if _, err := from.kgss.NewKey(t.Context(), doctors()); !errors.Is(err, fault.ErrUnavailable) {
			t.Errorf("used up: %v", err)
		}
		if _, err := reader.kgss.Key(t.Context(), kek.ID()); err != nil {
			t.Errorf("read before: %v", err)
		}
	})
}

// TestKeyServiceFaults: whatever happens to the key service, a call ends in time with a key or with a typed error, and never
// with a key of somebody else.
func TestKeyServiceFaults(t *testing.T) {
	for _, row := range []string{"kgss 0 60 hang", "kgss 0 60 http status=503;body=html", "kgss 0 60 misroute p=1", "kgss 0 60 refuse", "etk 0 60 hang", "etk 0 60 misroute p=1"} {
		t.Run(strings.ReplaceAll(row, " ", "_"), func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				a, b := w.sealer(t, identity.Doctor, 0, etee.DepotConfig{}), w.sealer(t, identity.Doctor, 1, etee.DepotConfig{})
				if _, err := b.kgss.NewKey(t.Context(), doctors()); err != nil {
					t.Fatal(err)
				}
				w.inject(t, row)
				start := time.Now()
				kek, err := a.kgss.NewKey(t.Context(), doctors())
				if took := time.Since(start); took > 35*time.Second {
					t.Errorf("took %v", took)
				}
				if !errors.As(err, new(*fault.Error)) && err != nil {
					t.Errorf("%T", err)
				}
				if err == nil {
					w.sb.ClearFaults()
					if _, err := b.kgss.Key(t.Context(), kek.ID()); err != nil {
						t.Errorf("a key that the service does not have: %v", err)
					}
				}
			})
		})
	}
}

// TestIdentityMoves is INC-2026-02-04-ETK for the key service: its identity moves to another number with new keys. One
// refresh, then success, without anybody doing anything (T17).
func TestIdentityMoves(t *testing.T) {
	for _, lag := range []string{"0", "600"} {
		t.Run("lag "+lag, func(t *testing.T) {
			inBubble(t, func(t *testing.T, w *world) {
				moved := identifier(t, identity.TypeCBE, "0206653946", "KGSS")
				s := w.sealer(t, identity.Doctor, 0, etee.DepotConfig{}, etee.KGSSIdentifier, moved)
				key := func(when string) {
					t.Helper()
					if _, err := s.kgss.NewKey(t.Context(), doctors()); err != nil {
						t.Errorf("%s: %v", when, err)
					}
				}
				key("before")
				time.Sleep(time.Hour)
				w.inject(t, "etk 0 7200 key_rotate old=0809394427;new=0206653946;lag_s="+lag)
				key("at once")
				time.Sleep(5 * time.Minute)
				key("after five minutes")
				time.Sleep(10 * time.Minute)
				key("after a quarter of an hour")
				w.sb.ClearFaults()
				time.Sleep(5 * time.Minute)
				key("after it moved back")
			})
		})
	}
}
