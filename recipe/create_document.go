package recipe

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

// document is a KMEHR document ready to be sealed, with what the layers around it say about it.
type document struct {
	xml             []byte
	patient         identity.SSIN
	expires         protocol.Date
	ids             kmehr.HeaderIDs
	version, source string
	digest          []byte // of xml
	content         string // what makes two requests the same
	medical         string // of what is prescribed to whom by whom, see kmehr.Prescription.Digest
	tacit           bool   // the caller gave no day of expiry
	before          string // the reference that it would have had yesterday; "" = the caller gave one
	rules           verdict
}

// verdict is what the rules say about a document, which is found out while other things are done. nil = they say nothing against it.
type verdict struct {
	broken context.Context // over as soon as they do
	said   chan struct{}
	ended  *ending[error]
}

func judge(check func() error) verdict {
	ctx, cancel := context.WithCancel(context.Background())
	v := verdict{ctx, make(chan struct{}), new(ending[error])}
	go func() {
		defer close(v.said)
		if *v.ended = caught(check); v.ended.v != nil || v.ended.panic != nil {
			cancel()
		}
	}()
	return v
}

// wait returns what they say.
func (v verdict) wait() error {
	if v.said == nil {
		return nil
	}
	<-v.said
	if v.ended.panic != nil {
		panic(v.ended.panic)
	}
	return v.ended.v
}

// follow is a context that ends with ctx, or when the rules say something: then nobody needs any more what is asked for under it.
func (v verdict) follow(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if v.said == nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(v.broken, cancel)
	return ctx, func() { stop(); cancel() }
}

// Reasons why a document is not sent. The numbers are those that the official module shows (dossier 04 section 13.4).
const (
	errBoth    reason = "recipe: either a prescription or a document is given"
	errPatient reason = "recipe: 4000099 the document names no patient"
	errNotOwn  reason = "recipe: 4001013 the document is by another prescriber than the caller"
	errExpiry  reason = "recipe: 500026 the document says no day of expiry"
	errOffset  reason = "recipe: 500022 expirationdate of the document is not the text of the day that is sent beside it: ten characters, without an offset"
	errType    reason = "recipe: unknown type of prescription"
	errOthers  reason = "recipe: the generation of 2021 knows nothing of other prescribers"
)

// document checks a request and makes the document of it, before anything else is done. It gives r its Reference.
func (p *Prescriber) document(r *CreateRequest, now time.Time) (*document, error) {
	d, err := p.draft(r, now)
	if err == nil {
		err = d.rules.wait()
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// draft is document before the rules have been heard. What they say comes before what else may be wrong.
func (p *Prescriber) draft(r *CreateRequest, now time.Time) (*document, error) {
	if len(r.Reference) > maxReference {
		return nil, ErrReference
	}
	if r.Type == "" || strings.ContainsFunc(string(r.Type), func(c rune) bool { return (c < 'A' || c > 'Z') && (c < '0' || c > '9') }) || len(r.Type) > 4 {
		return nil, errType
	}
	d, author, medical, err := p.written(r, now)
	if err != nil {
		return nil, err
	}
	if err = p.complete(d, r, author, medical, now); err != nil {
		return nil, cmp.Or(d.rules.wait(), err)
	}
	return d, nil
}

// complete checks the rest of a request, and fills in what does not stand in the document.
func (p *Prescriber) complete(d *document, r *CreateRequest, author identity.NIHII, medical [sha256.Size]byte, now time.Time) error {
	if !p.who.Quality.IsOrganisation() && !author.SameBase(p.who.NIHII) { // a hospital sends for its prescribers
		return errNotOwn
	}
	if d.patient.IsZero() {
		return errPatient
	}
	if d.expires.IsZero() {
		return errExpiry
	}
	if err := protocol.CheckExpiration(d.expires, now); err != nil {
		return err
	}
	if err := protocol.CheckVision(protocol.Prescriber, r.Vision); err != nil {
		return err
	}
	if p.conf.Generation == protocol.Gen2021 && r.VisionOthers != "" {
		return errOthers
	}
	if p.conf.PrescriptionVersion != "" {
		d.version = p.conf.PrescriptionVersion
	}
	sum := sha256.Sum256(d.xml)
	d.digest = sum[:]
	d.medical = hex.EncodeToString(medical[:])
	return d.name(r, author, now)
}

// written writes the prescription, or reads the caller's document and holds it to the same rules.
func (p *Prescriber) written(r *CreateRequest, now time.Time) (_ *document, author identity.NIHII, medical [sha256.Size]byte, _ error) {
	rules := p.rules()
	if r.Document == nil {
		filled, err := r.Prescription.Fill(now)
		if err != nil {
			return nil, author, medical, err
		}
		d := &document{
			tacit: r.Prescription.Expires.IsZero(), patient: filled.Patient.SSIN, ids: filled.HeaderIDs(), version: "kmehr_" + kmehr.StandardVersion, source: filled.Source.Reference(),
		}
		var check func() error
		if d.xml, check, err = kmehr.Draft(rules, r.Type, filled); err != nil {
			return nil, author, medical, err
		}
		d.rules = judge(check)
		d.expires = dateOf(filled.Expires)
		return d, filled.Author.NIHII, filled.Digest(), nil
	}
	if len(r.Prescription.Items) > 0 {
		return nil, author, medical, errBoth
	}
	m, err := kmehr.Parse(r.Document)
	if err != nil {
		return nil, author, medical, err
	}
	if broken := rules.Check(m, r.Type); len(broken) > 0 {
		return nil, author, medical, &kmehr.InvalidError{Violations: broken}
	}
	v := m.Prescription()
	d := &document{
		xml: r.Document, patient: v.Patient.SSIN, ids: m.HeaderIDs(), version: m.Version(), source: m.ReferenceSource(), expires: dateOf(v.Expires),
	}
	if !d.expires.IsZero() && m.RevealExpiry() != d.expires.String() {
		return nil, author, medical, errOffset // they are compared as texts, and the document is the caller's
	}
	return d, m.AuthorNIHII(), v.Digest(), nil
}

func dateOf(d kmehr.Day) protocol.Date {
	if !d.Whole() {
		return protocol.Date{}
	}
	return protocol.Day(d.Date())
}

// name gives the request a reference and the document what tells it from another under the same one: everything that the
// patient and others will see of it, without what is made anew each time: a day of expiry that was not asked for moves at
// midnight. A reference that is made depends on what is prescribed only, so that neither the label nor the like makes another one.
func (d *document) name(r *CreateRequest, author identity.NIHII, now time.Time) error {
	expires := d.expires.String()
	if d.tacit {
		expires = ""
	}
	content, err := json.Marshal([]any{
		d.medical, d.patient.Reveal(), expires, r.Type, r.Feedback, r.Label.Reveal(), r.Vision.Reveal(), r.VisionOthers,
	})
	if err != nil {
		return errRecord
	}
	d.content = short(content)
	if r.Reference == "" {
		today := protocol.DateOf(now)
		of := func(day protocol.Date) string {
			return "auto-" + short([]byte(d.medical+"/"+author.Full()+"/"+d.patient.Reveal()+"/"+day.String()))
		}
		r.Reference, d.before = of(today), of(today.Add(0, 0, -1))
	}
	return nil
}

// short is a digest of 26 letters.
func short(b []byte) string {
	sum := sha256.Sum256(b)
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}
