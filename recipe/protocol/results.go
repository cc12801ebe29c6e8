package protocol

import (
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// CreatePrescriptionResult carries the number of the new prescription. An answer with a good status and without RID says
// nothing about whether the prescription exists.
type CreatePrescriptionResult struct {
	ResponseType
	RID identity.RID
}

func (*CreatePrescriptionResult) root(r Role) string {
	return unless(r == Executor || r == Patient, "createPrescriptionResult")
}
func (r *CreatePrescriptionResult) roots() []string { return []string{r.root(0)} }
func (r *CreatePrescriptionResult) wire(c *codec) {
	r.wireResponse(c)
	c.rid("rid", &r.RID, ifOK(r.Status))
}

// ifOK is for parts that a refusal does not have.
func ifOK(s Status) need {
	if s.OK() {
		return wanted
	}
	return optional
}

// GetPrescriptionStatusResult says where a prescription stands; all roles.
type GetPrescriptionStatusResult struct {
	ResponseType
	PrescriptionStatus PrescriptionStatus
	ExecutorID         identity.Private // the pharmacy that has it
}

func (*GetPrescriptionStatusResult) root(Role) string  { return "getPrescriptionStatusResult" }
func (r *GetPrescriptionStatusResult) roots() []string { return []string{r.root(0)} }
func (r *GetPrescriptionStatusResult) wire(c *codec) {
	r.wireResponse(c)
	c.status("prescriptionStatus", &r.PrescriptionStatus, optional)
	c.party("executorId", &r.ExecutorID, optional)
}

// ListOpenRidsResult lists open prescriptions: numbers only for prescribers, Items for patients.
type ListOpenRidsResult struct {
	ResponseType
	Prescriptions []identity.RID
	Items         []OpenRid
	More
	// Unread is how many prescriptions of the page have a number that could not be read: RIDs leaves them out. Not written.
	Unread int
}

// OpenRid is an open prescription as its patient sees it.
type OpenRid struct {
	RID                identity.RID
	ReservedAtNIHII    identity.Private // the pharmacy that keeps it ready
	Vision             Vision
	CreationDate       time.Time
	ExpirationDate     time.Time // the beginning of the last day in Belgium
	PrescriptionStatus PrescriptionStatus
	PatientID          identity.Private
	PrescriberID       identity.Private
}

func (o *OpenRid) wire(c *codec) {
	c.rid("rid", &o.RID, wanted)
	c.party("reservedAtNihii", &o.ReservedAtNIHII, optional)
	text(c, "vision", &o.Vision, wanted)
	c.time("creationDate", &o.CreationDate, wanted)
	c.time("expirationDate", &o.ExpirationDate, wanted)
	c.status("prescriptionStatus", &o.PrescriptionStatus, wanted)
	c.person("patientId", &o.PatientID, wanted)
	c.party("prescriberId", &o.PrescriberID, wanted)
}

func (*ListOpenRidsResult) root(r Role) string { return unless(r == Executor, "listOpenRidsResult") }
func (r *ListOpenRidsResult) roots() []string  { return []string{r.root(0)} }
func (r *ListOpenRidsResult) wire(c *codec) {
	r.wireResponse(c)
	if c.writing() && (c.role == Patient && len(r.Prescriptions) > 0 || c.role == Prescriber && len(r.Items) > 0) {
		c.fail("items", errNotHere)
	}
	unread := c.rids("prescriptions", &r.Prescriptions)
	many(c, &r.Items, (*OpenRid).wire, "items", "item")
	if !c.writing() {
		r.Unread = unread + len(r.Prescriptions) + len(r.Items) - len(r.RIDs())
	}
	r.wireMore(c)
}

// RIDs returns the numbers of all prescriptions of the page.
func (r *ListOpenRidsResult) RIDs() []identity.RID {
	rids := append([]identity.RID(nil), r.Prescriptions...)
	for _, i := range r.Items {
		if !i.RID.IsZero() {
			rids = append(rids, i.RID)
		}
	}
	return rids
}

// ListRidsHistoryResult lists prescriptions with their state; all roles.
type ListRidsHistoryResult struct {
	ResponseType
	Items []RidStatus
	More
}

// RidStatus is one prescription of a history.
type RidStatus struct {
	RID                identity.RID
	PrescriptionStatus PrescriptionStatus
}

func (s *RidStatus) wire(c *codec) {
	c.rid("rid", &s.RID, wanted)
	c.status("prescriptionStatus", &s.PrescriptionStatus, optional)
}

func (*ListRidsHistoryResult) root(Role) string  { return "listRidsHistoryResult" }
func (r *ListRidsHistoryResult) roots() []string { return []string{r.root(0)} }
func (r *ListRidsHistoryResult) wire(c *codec) {
	r.wireResponse(c)
	names := []string{"items", "item"}
	if c.role == Patient {
		names = []string{"item", "items"}
	}
	many(c, &r.Items, (*RidStatus).wire, names...)
	r.wireMore(c)
}

// GetVisionResult says who finds a prescription; patients.
type GetVisionResult struct {
	ResponseType
	Vision Vision
}

func (*GetVisionResult) root(r Role) string {
	return unless(r == Prescriber || r == Executor, "getVisionResult")
}
func (r *GetVisionResult) roots() []string { return []string{r.root(0)} }
func (r *GetVisionResult) wire(c *codec) {
	r.wireResponse(c)
	n := ifOK(r.Status)
	if c.writing() {
		n = wanted
	}
	text(c, "vision", &r.Vision, n)
}

// ListRelationsResult lists mandates; executors and patients.
type ListRelationsResult struct {
	ResponseType
	Items []Relation
	More
}

// Relation lets MandateHolderID fetch what is prescribed to PatientID.
type Relation struct {
	PatientID        identity.Private
	PatientFirstname identity.Private
	PatientLastname  identity.Private
	MandateHolderID  identity.Private
	EndDate          time.Time // zero: none; only patients get it
}

func (r *Relation) wire(c *codec) {
	c.person("patientId", &r.PatientID, wanted)
	c.private("patientFirstname", &r.PatientFirstname, wanted)
	c.private("patientLastname", &r.PatientLastname, wanted)
	c.person("mandateHolderId", &r.MandateHolderID, wanted)
	if c.writing() && c.role == Executor && !r.EndDate.IsZero() {
		c.fail("endDate", errNotHere)
	}
	c.time("endDate", &r.EndDate, optional)
}

func (*ListRelationsResult) root(r Role) string {
	return unless(r == Prescriber, "listRelationsResult")
}
func (r *ListRelationsResult) roots() []string { return []string{r.root(0)} }
func (r *ListRelationsResult) wire(c *codec) {
	r.wireResponse(c)
	many(c, &r.Items, (*Relation).wire, "items", "item")
	r.wireMore(c)
}

// Fetched is what the three operations that fetch a prescription say about it.
type Fetched struct {
	CreationDate     time.Time
	EncryptionKeyID  string // of the key service, see DecodeKeyID
	FeedbackAllowed  bool
	PatientID        identity.Private
	PrescriberID     identity.Private
	Prescription     []byte // sealed; for executors perhaps a TimestampedPrescription
	PrescriptionType identity.PrescriptionType
	RID              identity.RID
	ExpirationDate   time.Time // the beginning of the last day in Belgium
}

func (p *Fetched) wire(c *codec) {
	c.time("creationDate", &p.CreationDate, optional)
	text(c, "encryptionKeyId", &p.EncryptionKeyID, optional)
	c.boolean("feedbackAllowed", &p.FeedbackAllowed, wanted)
	c.person("patientId", &p.PatientID, optional)
	c.party("prescriberId", &p.PrescriberID, optional)
	c.bytes("prescription", &p.Prescription, optional)
	text(c, "prescriptionType", &p.PrescriptionType, optional)
	c.rid("rid", &p.RID, optional)
	c.time("expirationDate", &p.ExpirationDate, optional)
}

// GetPrescriptionForPrescriberResult carries a prescription back to a prescriber, without type and prescriber.
type GetPrescriptionForPrescriberResult struct {
	ResponseType
	Fetched
}

func (*GetPrescriptionForPrescriberResult) root(r Role) string {
	return unless(r == Executor || r == Patient, "getPrescriptionForPrescriberResult")
}
func (r *GetPrescriptionForPrescriberResult) roots() []string { return []string{r.root(0)} }
func (r *GetPrescriptionForPrescriberResult) wire(c *codec) {
	r.wireResponse(c)
	if c.writing() && (r.PrescriptionType != "" || !r.PrescriberID.IsZero()) {
		c.fail("prescriptionType", errNotHere)
	}
	r.Fetched.wire(c)
}

// GetPrescriptionForPatientResult carries a prescription to its patient. Its numbers are typed long.
type GetPrescriptionForPatientResult struct {
	ResponseType
	Fetched
}

func (*GetPrescriptionForPatientResult) root(r Role) string {
	return unless(r == Prescriber || r == Executor, "getPrescriptionForPatientResult")
}
func (r *GetPrescriptionForPatientResult) roots() []string { return []string{r.root(0)} }
func (r *GetPrescriptionForPatientResult) wire(c *codec) {
	r.wireResponse(c)
	r.Fetched.wire(c)
}

// GetPrescriptionForExecutorResult carries a prescription to a pharmacy. It is written under the root that the official
// module reads, ...ResultSealed, and read under the published ...ResultUnsealed as well.
type GetPrescriptionForExecutorResult struct {
	ResponseType
	Fetched
	TimestampingID string
}

func (*GetPrescriptionForExecutorResult) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "getPrescriptionForExecutorResultSealed")
}

func (r *GetPrescriptionForExecutorResult) roots() []string {
	return []string{r.root(0), "getPrescriptionForExecutorResultUnsealed"}
}

func (r *GetPrescriptionForExecutorResult) wire(c *codec) {
	r.wireResponse(c)
	p := &r.Fetched
	c.rid("rid", &p.RID, optional)
	c.time("creationDate", &p.CreationDate, optional)
	c.person("patientId", &p.PatientID, optional)
	c.boolean("feedbackAllowed", &p.FeedbackAllowed, wanted)
	c.bytes("prescription", &p.Prescription, optional)
	text(c, "prescriptionType", &p.PrescriptionType, optional)
	text(c, "encryptionKeyId", &p.EncryptionKeyID, optional)
	text(c, "timestampingId", &r.TimestampingID, optional)
	c.party("prescriberId", &p.PrescriberID, optional)
	c.time("expirationDate", &p.ExpirationDate, optional)
}
