package insurability

import (
	"fmt"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Caller is the care provider in whose name the questions are asked. It must be the one that the token was issued
// for, else the platform answers SOA-01002 (dossier 05 section 1.4).
type Caller struct {
	// Quality decides which service is asked: [identity.Pharmacy] and [identity.Pharmacist] ask the pharmacist service,
	// all others generic insurability.
	Quality identity.Quality
	// NIHII is the person's number (11 digits), or the organisation's (8 digits are enough). For pharmacies it is the
	// pharmacy's, 8 digits.
	NIHII identity.NIHII
	// Name of the person or organisation.
	Name string
	// SSIN of the person; for persons only.
	SSIN identity.SSIN
	// SiteID of a hospital; optional.
	SiteID string
	// Holder is the pharmacist who holds the pharmacy; required for pharmacies, else absent.
	Holder *Holder
}

// Holder is the holder of a pharmacy.
type Holder struct {
	NIHII identity.NIHII // 11 digits
	Name  string
	SSIN  identity.SSIN
}

// Format implements [fmt.Formatter]: no verb shows names or numbers.
func (c Caller) Format(f fmt.State, _ rune) { redact(f, "caller of quality "+string(c.Quality)) }

// Format implements [fmt.Formatter]: no verb shows names or numbers.
func (h Holder) Format(f fmt.State, _ rune) { redact(f, "pharmacy holder") }

// pharmacy tells that the pharmacist service is to be asked.
func (c Caller) pharmacy() bool {
	return c.Quality == identity.Pharmacy || c.Quality == identity.Pharmacist
}

func (c Caller) validate() error {
	switch {
	case c.NIHII.IsZero():
		return fmt.Errorf("%w: no NIHII number", ErrCaller)
	case c.pharmacy():
		return c.validatePharmacy()
	case !c.Quality.GenIns() && !c.Quality.MemberData():
		return fmt.Errorf("%w: quality not admitted", ErrCaller)
	case c.Holder != nil:
		return fmt.Errorf("%w: only pharmacies have a holder", ErrCaller)
	case c.Quality.IsPerson() && (c.SSIN.IsZero() || len(c.NIHII.Reveal()) != 11):
		return fmt.Errorf("%w: a person needs an SSIN and a NIHII number of 11 digits", ErrCaller)
	case !c.Quality.IsPerson() && !c.SSIN.IsZero():
		return fmt.Errorf("%w: an organisation has no SSIN", ErrCaller)
	}
	return nil
}

func (c Caller) validatePharmacy() error {
	switch {
	case c.Holder == nil || c.Holder.SSIN.IsZero() || len(c.Holder.NIHII.Reveal()) != 11:
		return fmt.Errorf("%w: a pharmacy needs its holder with SSIN and NIHII number of 11 digits", ErrCaller)
	case c.SiteID != "":
		return fmt.Errorf("%w: a pharmacy has no site", ErrCaller)
	case !c.SSIN.IsZero():
		return fmt.Errorf("%w: a pharmacy has no SSIN, its holder has", ErrCaller)
	}
	return nil
}

// careProvider builds the part of the message that names the caller, after the table of dossier 05 section 1.4 (and
// 2.2 for pharmacies).
func (c Caller) careProvider() *CareProvider {
	if c.pharmacy() {
		return &CareProvider{
			NIHII:          NIHII{Quality: string(identity.WirePharmacyHolder), Value: Hide(c.Holder.NIHII.Full())},
			PhysicalPerson: &Party{Name: Hide(c.Holder.Name), SSIN: Hide(c.Holder.SSIN.Reveal())},
			Organization: &Party{
				Name:  Hide(c.Name),
				NIHII: &NIHII{Quality: string(identity.WirePharmacy), Value: Hide(c.NIHII.Base())},
			},
		}
	}
	n := NIHII{Quality: string(c.Quality), Value: Hide(c.NIHII.Full())}
	p := &CareProvider{NIHII: n}
	if c.Quality.IsPerson() {
		p.PhysicalPerson = &Party{Name: Hide(c.Name), NIHII: &n, SSIN: Hide(c.SSIN.Reveal())}
	} else {
		p.Organization = &Party{Name: Hide(c.Name), NIHII: &n}
	}
	return p
}
