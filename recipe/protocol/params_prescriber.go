package protocol

import "github.com/ehealth-continuity/ehealth/identity"

// CreatePrescriptionParam creates a prescription; prescribers. Repeating it makes a second prescription (dossier 04
// section 14.1).
//
// The newer generation has no Party but for the PatientID, no VisionOthers in the older one. The older one always sends
// PrescriberLabel and Vision, if need be empty.
type CreatePrescriptionParam struct {
	Party
	Prescription      []byte // KMEHR, compressed and sealed under the key of KeyID
	PrescriptionType  identity.PrescriptionType
	FeedbackRequested bool
	KeyID             string // see EncodeKeyID
	Keyed
	PrescriberLabel identity.Private
	ExpirationDate  Date // the same day as in the KMEHR document
	Vision          Vision
	VisionOthers    VisionOthers
}

func (*CreatePrescriptionParam) root(r Role) string {
	return unless(r == Executor || r == Patient, "createPrescriptionParam")
}
func (p *CreatePrescriptionParam) roots() []string { return []string{p.root(0)} }
func (p *CreatePrescriptionParam) wire(c *codec) {
	n := wanted
	if c.gen == Gen2023 {
		n = optional
		if c.writing() && p.Party != (Party{PatientID: p.PatientID}) {
			c.fail("partyIdentification", errNotHere)
		}
	} else if c.writing() && p.VisionOthers != "" {
		c.fail("visionOtherPrescribers", errNotHere)
	}
	if c.writing() && p.PatientID.IsZero() {
		c.fail("patientId", errMissing)
	}
	p.wireParty(c)
	c.bytes("prescription", &p.Prescription, wanted)
	c.leaf("prescriptionType", wanted,
		func() (string, error) { return present(string(p.PrescriptionType), must) },
		func(s string) error { p.PrescriptionType = identity.PrescriptionType(trim(s)); return nil })
	c.boolean("feedbackRequested", &p.FeedbackRequested, wanted)
	c.leaf("keyId", wanted,
		func() (string, error) { return present(p.KeyID, must) },
		func(s string) error { p.KeyID = trim(s); return nil })
	p.wireKey(c)
	c.private("prescriberLabel", &p.PrescriberLabel, n)
	c.date("expirationDate", &p.ExpirationDate, wanted)
	text(c, "vision", &p.Vision, n)
	text(c, "visionOtherPrescribers", &p.VisionOthers, optional)
}

// GetPrescriptionForPrescriberParam fetches a prescription (getPrescription); prescribers.
type GetPrescriptionForPrescriberParam struct {
	Party
	RID identity.RID
	Keyed
}

func (*GetPrescriptionForPrescriberParam) root(r Role) string {
	return unless(r == Executor || r == Patient, "getPrescriptionForPrescriberParam")
}
func (p *GetPrescriptionForPrescriberParam) roots() []string { return []string{p.root(0)} }
func (p *GetPrescriptionForPrescriberParam) wire(c *codec) {
	p.wireParty(c)
	c.rid("rid", &p.RID, wanted)
	p.wireKey(c)
}

// ListPrescriptionsParam searches prescriptions; prescribers, newer generation.
type ListPrescriptionsParam struct {
	Keyed
	PatientID       identity.SSIN
	Status          []PrescriptionStatus // nil: all
	Between         *Between             // days of creation
	ExpiringBetween *Between
	PrescriberID    identity.NIHII
	Page            *Page
	SortOptions     []SortedBy
}

// SortedBy is one criterion of order.
type SortedBy struct {
	Attribute string // "prescription-date" or "reservation-modification-date"
	Order     string // "ascending" or "descending"
}

// Criteria and directions of SortedBy.
const (
	ByPrescriptionDate            = "prescription-date"
	ByReservationModificationDate = "reservation-modification-date"
	Ascending                     = "ascending"
	Descending                    = "descending"
)

func (s *SortedBy) wire(c *codec) {
	attrText(c, "attribute", &s.Attribute, wanted)
	attrText(c, "order", &s.Order, wanted)
}

// statusList is the element status that holds elements status.
type statusList struct{ status []PrescriptionStatus }

func (l *statusList) wire(c *codec) {
	many(c, &l.status, func(s *PrescriptionStatus, c *codec) {
		c.content(wanted,
			func() (string, error) { return present(string(*s), must) },
			func(t string) (err error) { *s, err = parseStatus(t); return err })
	}, "status")
}

type sortList struct{ by []SortedBy }

func (l *sortList) wire(c *codec) { many(c, &l.by, (*SortedBy).wire, "sortedBy") }

func (*ListPrescriptionsParam) root(r Role) string {
	return unless(r == Executor || r == Patient, "listPrescriptionsParam")
}
func (p *ListPrescriptionsParam) roots() []string { return []string{p.root(0)} }
func (p *ListPrescriptionsParam) wire(c *codec) {
	if c.writing() && c.gen != Gen2023 {
		c.fail("", errNotHere)
	}
	p.wireKey(c)
	c.ssin("patientId", &p.PatientID, optional)
	var states *statusList
	if len(p.Status) > 0 {
		states = &statusList{p.Status}
	}
	maybe(c, "status", &states, (*statusList).wire)
	maybe(c, "between", &p.Between, (*Between).wire)
	maybe(c, "expiringBetween", &p.ExpiringBetween, (*Between).wire)
	c.nihii("prescriberId", &p.PrescriberID, optional)
	maybe(c, "page", &p.Page, (*Page).wire)
	var order *sortList
	if len(p.SortOptions) > 0 {
		order = &sortList{p.SortOptions}
	}
	maybe(c, "sortOptions", &order, (*sortList).wire)
	if c.writing() {
		return
	}
	if states != nil {
		p.Status = states.status
	}
	if order != nil {
		p.SortOptions = order.by
	}
}

// ListFeedbacksParam lists what pharmacies wrote back; prescribers. What ReadFlag selects is not published.
type ListFeedbacksParam struct {
	Party
	ReadFlag bool
	Keyed
}

func (*ListFeedbacksParam) root(r Role) string {
	return unless(r == Executor || r == Patient, "listFeedbacksParam")
}
func (p *ListFeedbacksParam) roots() []string { return []string{p.root(0)} }
func (p *ListFeedbacksParam) wire(c *codec) {
	p.wireParty(c)
	c.boolean("readFlag", &p.ReadFlag, wanted)
	p.wireKey(c)
}

// SendNotificationParam writes to the pharmacy of a patient (ExecutorID and PatientID of Party); prescribers.
type SendNotificationParam struct {
	Party
	Content []byte // a Notification, compressed and sealed for the pharmacy
	Keyed
}

func (*SendNotificationParam) root(r Role) string {
	return unless(r == Executor || r == Patient, "sendNotificationParam")
}
func (p *SendNotificationParam) roots() []string { return []string{p.root(0)} }
func (p *SendNotificationParam) wire(c *codec) {
	p.wireParty(c)
	c.bytes("content", &p.Content, wanted)
	p.wireKey(c)
}

// ValidationPropertiesParam asks for rules newer than the version known (getValidationProperties); prescribers.
type ValidationPropertiesParam struct {
	Party
	Keyed
	ClientPropertiesVersion string
}

func (*ValidationPropertiesParam) root(r Role) string {
	return unless(r == Executor || r == Patient, "validationPropertiesParam")
}
func (p *ValidationPropertiesParam) roots() []string { return []string{p.root(0)} }
func (p *ValidationPropertiesParam) wire(c *codec) {
	p.wireParty(c)
	p.wireKey(c)
	text(c, "clientPropertiesVersion", &p.ClientPropertiesVersion, wanted)
}
