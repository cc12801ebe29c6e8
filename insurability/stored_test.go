package insurability

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/cache"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/exchange"
	"github.com/ehealth-continuity/ehealth/internal/soap"
	"github.com/ehealth-continuity/ehealth/internal/xmltree"
	"github.com/ehealth-continuity/ehealth/resilience"
)

// TestDays: which days a stored answer speaks of.
func TestDays(t *testing.T) {
	today := DateOf(winter)
	covers := func(p Period) func(*GenInsResponse) {
		return func(r *GenInsResponse) { r.Response.Detail.List.Items[0].Period = p }
	}
	for name, tt := range map[string]struct {
		caller Caller
		first  Query
		change func(*GenInsResponse)
		after  int // days
		then   Query
		want   Source
	}{
		"the next day":                        {doctor, Query{}, nil, 1, Query{}, Stored},
		"the asked day, later":                {doctor, Query{}, nil, 1, Query{Date: today}, Stored},
		"a day between":                       {doctor, Query{}, nil, 9, Query{Date: today.AddDays(4)}, Stored},
		"a day before":                        {doctor, Query{}, nil, 1, Query{Date: today.AddDays(-1)}, Unknown},
		"a day before, in the period":         {doctor, Query{}, covers(Period{today.AddDays(-9), today}), 1, Query{Date: today.AddDays(-9)}, Stored},
		"a day before the period":             {doctor, Query{}, covers(Period{today.AddDays(-9), today}), 1, Query{Date: today.AddDays(-10)}, Unknown},
		"a period without end":                {doctor, Query{}, covers(Period{Start: today.AddDays(-9)}), 20, Query{}, Stored},
		"a period that ended since":           {doctor, Query{}, covers(Period{today, today.AddDays(3)}), 4, Query{}, Unknown},
		"the last day of the period":          {doctor, Query{}, covers(Period{today, today.AddDays(3)}), 3, Query{}, Stored},
		"a past day, asked again":             {doctor, Query{Date: today.AddDays(-5)}, nil, 2, Query{Date: today.AddDays(-5)}, Stored},
		"a past day is not today":             {doctor, Query{Date: today.AddDays(-5)}, nil, 0, Query{}, Unknown},
		"several days, asked again":           {hospital, Query{Period: Period{today.AddDays(-5), today}}, nil, 2, Query{Period: Period{today.AddDays(-5), today}}, Stored},
		"several days, one of them":           {hospital, Query{Period: Period{today.AddDays(-5), today}}, nil, 0, Query{Date: today}, Unknown},
		"one day for several":                 {hospital, Query{}, covers(Period{Start: today.AddDays(-9)}), 2, Query{Period: Period{today.AddDays(-5), today}}, Stored},
		"one day for several not covered":     {hospital, Query{}, nil, 2, Query{Period: Period{today.AddDays(-5), today}}, Unknown},
		"days to come":                        {hospital, Query{}, nil, 2, Query{Period: Period{today.AddDays(1), today.AddDays(29)}}, Stored},
		"days to come, beyond the thirty":     {hospital, Query{}, nil, 2, Query{Period: Period{today.AddDays(1), today.AddDays(30)}}, Unknown},
		"a patient who died on the asked day": {doctor, Query{}, func(r *GenInsResponse) { r.Response.Patient.Person.Deceased = today }, 0, Query{}, Unknown},
		"an answer that says nothing":         {doctor, Query{}, func(r *GenInsResponse) { r.Response.Detail.List = nil }, 0, Query{}, Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, winter, func(r *rung) {
				r.answer(urlLive, genIns(r.T, "genins-response-insured.xml", tt.change))
				c := r.client(tt.caller)
				tt.first.Patient, tt.then.Patient = ssinInsured, ssinInsured
				r.ask(c, tt.first, Live)
				time.Sleep(time.Duration(tt.after) * 24 * time.Hour)
				r.set(nil)
				a := r.ask(c, tt.then, tt.want)
				p, err := tt.then.period(Today())
				if err != nil || a.Asked != p {
					r.Errorf("asked %v, want %v, %v", a.Asked, p, err)
				}
				if tt.want == Stored && (a.Insured != Yes || a.CT1 == "") {
					r.Errorf("%+v", a)
				}
			})
		})
	}
}

// TestPastDayDoesNotReplaceToday: an answer about another day has a place of its own.
func TestPastDayDoesNotReplaceToday(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		c := r.client(doctor)
		r.ask(c, Query{Patient: ssinInsured}, Live)
		r.answer(urlLive, genIns(r.T, "genins-response-insured.xml", func(x *GenInsResponse) {
			x.Response.Detail.List = nil
			x.Response.Detail.Situation = &GeneralSituation{Event: StartLater}
		}))
		past := Query{Patient: ssinInsured, Date: Today().AddDays(-400)}
		if a := r.ask(c, past, Live); a.Insured != No {
			r.Fatal(a)
		}
		r.set(nil)
		if a := r.ask(c, past, Stored); a.Insured != No {
			r.Error(a)
		}
		if a := r.ask(c, Query{Patient: ssinInsured}, Stored); a.Insured != Yes {
			r.Error(a)
		}
	})
}

// TestUnreadable: what a store holds may be anything; nothing of it is shown, and nothing panics.
func TestUnreadable(t *testing.T) {
	a := answerOf(t)
	b, err := a.pack()
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := unpackGenIns(b, a.Asked); !ok || got.Insured != Yes || got.References != a.References || got.Provenance != a.Provenance {
		t.Fatalf("%+v, %v", got, ok)
	}
	for _, x := range [][]byte{nil, {}, []byte("{}"), []byte("null"), []byte(`{"v":2}`), []byte(`{"v":1,"message":"PGEvPg=="}`), b[:len(b)/2], bytes.Replace(b, []byte(`"v":1`), []byte(`"v":9`), 1)} {
		for _, f := range []func([]byte, Period) (*Answer, bool){unpackGenIns, unpackPharmacist} {
			if got, ok := f(x, a.Asked); ok || got != nil {
				t.Errorf("%.20q gave %v", x, got)
			}
		}
	}
	if got, ok := unpackPharmacist(b, a.Asked); ok || got != nil {
		t.Errorf("another service's answer gave %v", got)
	}
}

func answerOf(t testing.TB) *Answer {
	t.Helper()
	r, err := decodeGenIns(parse(t, sample(t, "genins-response-insured.xml")))
	if err != nil {
		t.Fatal(err)
	}
	r.Provenance = Provenance{Source: Alternate, Endpoint: urlAlternate, ConsultedAt: winter.UTC(), Attempts: 2, MessageID: "urn:uuid:1"}
	req := &GenInsRequest{}
	req.Request.Detail.Period = r.Response.Detail.List.Items[0].Period
	req.Request.Detail.Period.End = req.Request.Detail.Period.Start
	return answerGenIns(req, r)
}

func TestStoreFails(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		c := r.client(doctor)
		r.ask(c, Query{Patient: ssinInsured}, Live)
		if err := r.answers.Close(); err != nil {
			r.Fatal(err)
		}
		r.ask(c, Query{Patient: ssinInsured}, Live)
		r.set(nil)
		a, err := c.Check(context.Background(), Query{Patient: ssinInsured})
		fe, ok := errors.AsType[*fault.Error](err)
		if !ok || a == nil || a.Source != Unknown || fe.Kind != fault.Unavailable || !errors.Is(err, cache.ErrClosed) {
			r.Errorf("%v, %v", a, err)
		}
	})
}

// hung is a store that never comes back.
type hung struct {
	cache.RecordStore
	free chan struct{}
}

func (s hung) Load(ctx context.Context, id [32]byte) ([]byte, error) {
	<-s.free
	return s.RecordStore.Load(ctx, id)
}

// TestEverythingHangs: both addresses and the disk hang, and the person at the counter is told after five seconds.
func TestEverythingHangs(t *testing.T) {
	bubble(t, winter, func(r *rung) {
		k, err := cache.KeyFromBytes(bytes.Repeat([]byte{8}, cache.KeySize))
		if err != nil {
			r.Fatal(err)
		}
		s, err := cache.OpenRecords(filepath.Join(r.TempDir(), "hung.db"))
		if err != nil {
			r.Fatal(err)
		}
		free := make(chan struct{}, 10)
		for range 10 {
			free <- struct{}{} // to open it
		}
		if r.answers, err = cache.NewAnswers(r.Context(), hung{s, free}, k); err != nil {
			r.Fatal(err)
		}
		answers := r.answers
		r.Cleanup(func() { _ = answers.Close() })
		for len(free) > 0 {
			<-free
		}
		r.set(reply(0, ""))
		r.ask(r.client(doctor), Query{Patient: ssinInsured}, Unknown)
		close(free)
	})
}

// BenchmarkCheck is a whole check against an address that answers at once, without and with a store on disk, to which
// answers are written behind the caller's back; and the reading of a stored answer.
func BenchmarkCheck(b *testing.B) {
	template := string(sample(b, "genins-response-insured.xml"))
	answer := func(n *xmltree.Node) (int, io.Reader) {
		q := new(GenInsRequest)
		if err := decode(n, genInsProtocol, genInsCore, n.Local(), q, (*GenInsRequest).wire); err != nil {
			b.Error(err)
		}
		r, err := decodeGenIns(parse(b, []byte(template)))
		if err != nil {
			b.Error(err)
		}
		r.CommonOutput.InputReference, r.RecordCommonOutput.InputReference = q.CommonInput.InputReference, q.RecordCommonInput.InputReference
		r.Response.RequestDetail, r.Response.Detail.List.Items[0].Period = q.Request.Detail, q.Request.Detail.Period
		r.Response.Patient.SSIN, r.Response.Detail.List.Items[0].RegNr = Private{}, Private{}
		doc, err := encode(genInsProtocol, genInsCore, "GetInsurabilityResponse", r, (*GenInsResponse).wire)
		if err != nil {
			b.Error(err)
		}
		env, err := soap.Envelope(nil, doc)
		if err != nil {
			b.Error(err)
		}
		return http.StatusOK, bytes.NewReader(env)
	}
	run := func(b *testing.B, opts ...Option) {
		p := &platform{answer: map[string]func(*xmltree.Node) (int, io.Reader){urlLive: answer}}
		x, err := exchange.New(exchange.Options{
			HTTP: &http.Client{Transport: p}, UserAgent: "test/1.0", From: "support@example.test",
			Directory: resilience.Static{ServiceGenIns: {{URL: urlLive, Active: true}}},
			Engine:    unlimited(b),
		})
		if err != nil {
			b.Fatal(err)
		}
		c, err := New(x, plain{}, doctor, software, opts...)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		n := 0
		b.ReportAllocs()
		for b.Loop() {
			p.asked, p.action = p.asked[:0], p.action[:0]
			n++
			if _, err := c.Check(b.Context(), patient(n%500)); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("alone", func(b *testing.B) { run(b) })
	b.Run("with store", func(b *testing.B) {
		k, err := cache.KeyFromBytes(bytes.Repeat([]byte{7}, cache.KeySize))
		if err != nil {
			b.Fatal(err)
		}
		a, err := cache.OpenAnswers(b.Context(), filepath.Join(b.TempDir(), "answers.db"), k)
		if err != nil {
			b.Fatal(err)
		}
		defer a.Close()
		run(b, WithStored(a))
	})
	b.Run("unpack", func(b *testing.B) {
		a := answerOf(b)
		packed, err := a.pack()
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := unpackGenIns(packed, a.Asked); !ok {
				b.Fatal("not usable")
			}
		}
	})
}

// unlimited asks as often as it likes.
func unlimited(b *testing.B) *resilience.Engine {
	b.Helper()
	var p resilience.Policy
	p.Rate.PerSecond = -1
	e, err := resilience.New(resilience.Config{Policy: p})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(e.Close)
	return e
}
