package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/ehealth-continuity/ehealth"
	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/insurability"
	"github.com/ehealth-continuity/ehealth/resilience/notice"
	"github.com/ehealth-continuity/ehealth/sts"
)

// client are the flags of every command that calls the platform.
type client struct {
	Config string `help:"Configuration file (JSON); the sandbox.json of a sandbox is one." placeholder:"FILE" required:"" type:"existingfile"`
	As     string `help:"Call as the first of the file's people with this role." placeholder:"ROLE"`
	JSON   bool   `help:"Write one JSON object." name:"json"`
	Lang   string `help:"Language of notices: fr, nl, de or en." enum:"fr,nl,de,en" default:"en"`
}

func (c *client) lang() notice.Lang {
	l, _ := notice.ParseLang(c.Lang)
	return l
}

var (
	errNoLogin  = errors.New("no login is known for this role: the claims that it makes are not published")
	errNoNumber = errors.New("this role has no NIHII number, and none of the services that this command calls serves it")
)

// configured reads the configuration of whoever calls. A role that cannot log in is refused before anything is opened.
func (c *client) configured() (cfg ehealth.Config, err error) {
	role := identity.Quality(c.As)
	switch role {
	case identity.Enterprise, identity.EHPOrganisation:
		return cfg, usageError{fmt.Errorf("--as %s: %w", role, errNoNumber)}
	}
	if cfg, err = ehealth.LoadConfigAs(c.Config, c.As); err != nil {
		return cfg, usageError{err}
	}
	if c.As != "" && cfg.Caller.Quality != "" && !slices.Contains(sts.Qualities(), cfg.Caller.Quality) {
		return cfg, usageError{fmt.Errorf("--as %s: %w", role, errNoLogin)}
	}
	return cfg, nil
}

func (c *client) open(ctx context.Context) (*ehealth.Platform, error) {
	cfg, err := c.configured()
	if err != nil {
		return nil, err
	}
	if cfg.Caller.Quality == "" && !cfg.Caller.SSIN.IsZero() && cfg.Recipe == nil {
		cfg.Recipe = &ehealth.Recipe{} // a patient, who has prescriptions and nothing else
	}
	p, err := ehealth.Open(ctx, cfg)
	if err != nil {
		return nil, usageError{err}
	}
	return p, nil
}

// failed says how the error of a call is told that began at an instant.
func (c *client) failed(svc notice.Service, began time.Time, err error) error {
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Notice == string(notice.IDDown) {
		err = silent{err, began}
	}
	return clientError{error: err, json: c.JSON, lang: c.lang(), svc: svc}
}

// silent is a failed call with since when, as far as this process knows, there is no answer: the notice that a service is away
// needs that.
type silent struct {
	error
	since time.Time
}

// Unwrap returns the failure.
func (s silent) Unwrap() error { return s.error }

// NoticeParams implements notice.Detailed.
func (s silent) NoticeParams() notice.Params { return notice.Params{Time: s.since} }

type tokenCmd struct{ client }

// tokenResult never holds the token itself: it opens every service for as long as it lives.
type tokenResult struct {
	NotBefore    time.Time `json:"notBefore"`
	NotOnOrAfter time.Time `json:"notOnOrAfter"`
	Granted      []string  `json:"granted"`
	Refused      []string  `json:"refused"`
}

func (c *tokenCmd) Run(ctx context.Context, s streams) error {
	p, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	began := time.Now()
	tok, err := p.Tokens.Token(ctx)
	if err != nil {
		return c.failed(notice.Login, began, err)
	}
	r := tokenResult{NotBefore: tok.NotBefore, NotOnOrAfter: tok.NotOnOrAfter, Granted: []string{}, Refused: []string{}}
	for _, a := range tok.Attributes {
		if tok.Has(a.Name) {
			r.Granted = append(r.Granted, a.Name)
		}
	}
	for _, a := range tok.Refused {
		r.Refused = append(r.Refused, a.Name)
	}
	if c.JSON {
		return writeJSON(s.out, r)
	}
	fmt.Fprintf(s.out, "logged in until %s\n", r.NotOnOrAfter.Local().Format("2006-01-02 15:04:05"))
	list(s.out, "granted", r.Granted)
	list(s.out, "refused", r.Refused)
	if p.Expiry.Notice != "" {
		fmt.Fprintln(s.err, notice.CertificateExpires(p.Expiry.Date).Text(c.lang()))
	}
	return nil
}

func list(w io.Writer, title string, names []string) {
	fmt.Fprintf(w, "%s:\n", title)
	for _, n := range names {
		fmt.Fprintf(w, "  %s\n", n)
	}
}

type insurabilityCmd struct {
	SSIN string `arg:"" help:"The patient's number, 11 digits."`
	Date string `help:"Day asked about; today in Belgium when absent." placeholder:"YYYY-MM-DD"`
	client
}

var errPatient = errors.New("patients may not ask whether somebody is insured")

// insurabilityResult is what the person at the counter needs, without the patient's name and number.
type insurabilityResult struct {
	Source       string                `json:"source"`
	Endpoint     string                `json:"endpoint"`
	ConsultedAt  time.Time             `json:"consultedAt"`
	Asked        insurability.Date     `json:"asked"`
	Insured      insurability.Tristate `json:"insured"`
	Mutuality    string                `json:"mutuality,omitempty"`
	CT1          string                `json:"ct1,omitempty"`
	CT2          string                `json:"ct2,omitempty"`
	Preferential insurability.Tristate `json:"preferential"`
	ThirdParty   insurability.Tristate `json:"thirdPartyPayer"`
	From         *insurability.Date    `json:"from,omitempty"`
	Until        *insurability.Date    `json:"until,omitempty"`
	AgeSeconds   int64                 `json:"ageSeconds,omitempty"` // of a stored answer
	Guaranteed   bool                  `json:"paymentGuaranteed"`
	Notice       string                `json:"notice,omitempty"`

	text notice.Notice
}

func (c *insurabilityCmd) Run(ctx context.Context, s streams) error {
	patient, err := identity.ParseSSIN(c.SSIN)
	if err != nil {
		return usageError{err}
	}
	q := insurability.Query{Patient: patient}
	if c.Date != "" {
		if q.Date, err = insurability.ParseDate(c.Date); err != nil {
			return usageError{err}
		}
	}
	p, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer p.Close()
	if p.Insurability == nil {
		return usageError{errPatient}
	}
	began := time.Now()
	a, err := p.Insurability.Check(ctx, q)
	if err != nil {
		if fe, ok := errors.AsType[*fault.Error](err); a != nil && ok && !c.JSON && fe.Notice != a.Notice {
			n, _ := a.Message() // the error says why, such as that there is no login; this is what to do about the patient
			fmt.Fprintln(s.err, n.Text(c.lang()))
		}
		return c.failed(notice.Insurability, began, err)
	}
	r := result(a)
	if c.JSON {
		return writeJSON(s.out, r)
	}
	return r.write(s.out, c.lang())
}

func result(a *insurability.Answer) insurabilityResult {
	r := insurabilityResult{
		Source: a.Source.String(), Endpoint: a.Endpoint, ConsultedAt: a.ConsultedAt, Asked: a.Asked.Start,
		Insured: a.Insured, Mutuality: a.Mutuality, CT1: a.CT1, CT2: a.CT2,
		Preferential: a.Preferential, ThirdParty: a.ThirdPartyPayer, Notice: a.Notice,
		AgeSeconds: int64(a.Age.Seconds()), Guaranteed: a.PaymentGuaranteed,
	}
	r.text, _ = a.Message()
	if !a.Coverage.Start.IsZero() {
		r.From = &a.Coverage.Start
	}
	if !a.Coverage.End.IsZero() {
		r.Until = &a.Coverage.End
	}
	return r
}

func (r insurabilityResult) write(w io.Writer, lang notice.Lang) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(k string, v any) { fmt.Fprintf(t, "%s\t%v\n", k, v) }
	row("insured", r.Insured)
	row("asked for", r.Asked)
	row("mutuality", r.Mutuality)
	row("codes", r.CT1+"/"+r.CT2)
	row("preferential", r.Preferential)
	row("third-party payer", r.ThirdParty)
	if r.From != nil {
		row("covered from", *r.From)
	}
	if r.Until != nil {
		row("covered until", *r.Until)
	}
	row("source", r.Source+" "+r.Endpoint)
	if r.AgeSeconds > 0 {
		row("consulted", r.ConsultedAt.Local().Format("2006-01-02 15:04"))
	}
	if !r.text.IsZero() {
		row("notice", r.text.Text(lang))
	}
	return t.Flush()
}
