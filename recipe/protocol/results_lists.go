package protocol

import (
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// ListPrescriptionsResult answers ListPrescriptionsParam; prescribers, newer generation.
type ListPrescriptionsResult struct {
	ResponseType
	Partial *PartialResult
}

// PartialResult is one page of a search.
type PartialResult struct {
	HasHidden      bool // there are prescriptions that the caller may not see
	HasMoreResults bool
	Prescriptions  []ListedPrescription
}

// ListedPrescription is one prescription of a search.
type ListedPrescription struct {
	RID              identity.RID
	Status           PrescriptionStatus
	Date             Date
	ValidUntil       Date
	VisionOthers     VisionOthers
	EncryptionKey    string // of the key service, see DecodeKeyID; ties a prescription to its creation
	EncryptedContent []byte // KMEHR, compressed and sealed
	PrescriberID     identity.Private
	PrescriberType   string // such as "persphysician"
}

func (p *ListedPrescription) wire(c *codec) {
	c.attr("rid", wanted, p.RID.Reveal, setRID(&p.RID, wanted))
	c.attr("status", wanted, func() string { return string(p.Status) },
		func(s string) (err error) { p.Status, err = parseStatus(s); return err })
	c.attrDate("date", &p.Date, wanted)
	c.attrDate("valid-until", &p.ValidUntil, wanted)
	attrText(c, "vision-other-prescribers", &p.VisionOthers, wanted)
	attrText(c, "encryption-key", &p.EncryptionKey, wanted)
	c.attr("encrypted-content", optional, func() string { return encodeBase64(p.EncryptedContent) },
		func(s string) (err error) { p.EncryptedContent, err = parseBase64(s); return err })
	one(c, "prescriber", &listedPrescriber{p}, wanted, (*listedPrescriber).wire)
}

type listedPrescriber struct{ p *ListedPrescription }

func (l *listedPrescriber) wire(c *codec) {
	c.attr("id", wanted, l.p.PrescriberID.Reveal,
		func(s string) error { l.p.PrescriberID = identity.Hide(padNIHII(s)); return nil })
	attrText(c, "type", &l.p.PrescriberType, optional)
}

func (p *PartialResult) wire(c *codec) {
	c.attrBool("hasHidden", &p.HasHidden)
	c.boolean("hasMoreResults", &p.HasMoreResults, wanted)
	many(c, &p.Prescriptions, (*ListedPrescription).wire, "prescription")
}

func (*ListPrescriptionsResult) root(r Role) string {
	return unless(r == Executor || r == Patient, "listPrescriptionsResult")
}
func (r *ListPrescriptionsResult) roots() []string { return []string{r.root(0)} }
func (r *ListPrescriptionsResult) wire(c *codec) {
	r.wireResponse(c)
	maybe(c, "partial", &r.Partial, (*PartialResult).wire)
}

// ListFeedbacksResult lists what pharmacies wrote; prescribers.
type ListFeedbacksResult struct {
	ResponseType
	Feedbacks []SentFeedback
}

// SentFeedback is one message of a pharmacy about a prescription.
type SentFeedback struct {
	RID      identity.RID
	SentBy   identity.Private
	SentDate time.Time
	Content  []byte // a Feedback, compressed and sealed
}

func (f *SentFeedback) wire(c *codec) {
	c.rid("rid", &f.RID, wanted)
	c.party("sentBy", &f.SentBy, wanted)
	c.time("sentDate", &f.SentDate, wanted)
	c.bytes("content", &f.Content, wanted)
}

func (*ListFeedbacksResult) root(r Role) string {
	return unless(r == Executor || r == Patient, "listFeedbacksResult")
}
func (r *ListFeedbacksResult) roots() []string { return []string{r.root(0)} }
func (r *ListFeedbacksResult) wire(c *codec) {
	r.wireResponse(c)
	many(c, &r.Feedbacks, (*SentFeedback).wire, "feedbacks")
}

// ValidationPropertiesResult brings newer rules for prescriptions; prescribers.
type ValidationPropertiesResult struct {
	ResponseType
	XSDValidationFiles      []File
	Properties              []Property
	ServerPropertiesVersion string
}

// File is a compressed set of schemas (zip).
type File struct {
	Key   string
	Value []byte
}

func (f *File) wire(c *codec) {
	text(c, "key", &f.Key, optional)
	c.bytes("value", &f.Value, optional)
}

// Property is one rule (dossier 04 section 12.3).
type Property struct{ Key, Value string }

func (p *Property) wire(c *codec) {
	text(c, "key", &p.Key, optional)
	text(c, "value", &p.Value, optional)
}

func (*ValidationPropertiesResult) root(r Role) string {
	return unless(r == Executor || r == Patient, "validationPropertiesResult")
}
func (r *ValidationPropertiesResult) roots() []string { return []string{r.root(0)} }
func (r *ValidationPropertiesResult) wire(c *codec) {
	r.wireResponse(c)
	n := ifOK(r.Status)
	if c.writing() {
		n = wanted
	}
	one(c, "xsdValidationFiles", &r.XSDValidationFiles, n, func(v *[]File, c *codec) {
		many(c, v, (*File).wire, "entry")
	})
	one(c, "properties", &r.Properties, n, func(v *[]Property, c *codec) {
		many(c, v, (*Property).wire, "entry")
	})
	text(c, "serverPropertiesVersion", &r.ServerPropertiesVersion, n)
}

// ListNotificationsResult lists what prescribers wrote; executors.
type ListNotificationsResult struct {
	ResponseType
	Notifications []SentNotification
}

// SentNotification is one message of a prescriber.
type SentNotification struct {
	SentBy   identity.Private
	SentDate time.Time
	Content  []byte // a Notification, compressed and sealed
}

func (n *SentNotification) wire(c *codec) {
	c.party("sentBy", &n.SentBy, optional)
	c.time("sentDate", &n.SentDate, optional)
	c.bytes("content", &n.Content, optional)
}

func (*ListNotificationsResult) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "listNotificationsResult")
}
func (r *ListNotificationsResult) roots() []string { return []string{r.root(0)} }
func (r *ListNotificationsResult) wire(c *codec) {
	r.wireResponse(c)
	many(c, &r.Notifications, (*SentNotification).wire, "notifications")
}

// PutRidsInProcessResult says per prescription where it stands now; executors.
type PutRidsInProcessResult struct {
	ResponseType
	Items []RidInProcess
}

// RidInProcess is one prescription of PutRidsInProcessResult.
type RidInProcess struct {
	RID                identity.RID
	PrescriptionStatus PrescriptionStatus
	StatusUpdater      identity.Private // compare with [SameNIHII]
}

func (i *RidInProcess) wire(c *codec) {
	c.rid("rid", &i.RID, wanted)
	c.status("prescriptionStatus", &i.PrescriptionStatus, wanted)
	c.party("statusUpdater", &i.StatusUpdater, wanted)
}

func (*PutRidsInProcessResult) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "putRidsInProcessResult")
}
func (r *PutRidsInProcessResult) roots() []string { return []string{r.root(0)} }
func (r *PutRidsInProcessResult) wire(c *codec) {
	r.wireResponse(c)
	many(c, &r.Items, (*RidInProcess).wire, "item", "items")
}

// ListRidsInProcessResult lists what the pharmacy has in process; executors.
type ListRidsInProcessResult struct {
	ResponseType
	RIDs []identity.RID
	More
}

func (*ListRidsInProcessResult) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "listRidsInProcessResult")
}
func (r *ListRidsInProcessResult) roots() []string { return []string{r.root(0)} }
func (r *ListRidsInProcessResult) wire(c *codec) {
	r.wireResponse(c)
	c.rids("rids", &r.RIDs)
	r.wireMore(c)
}

// ListOpenPrescriptionsResult lists the open prescriptions of a patient with their content; executors.
type ListOpenPrescriptionsResult struct {
	ResponseType
	Prescriptions []OpenPrescription
	More
}

// OpenPrescription is a prescription with a status of its own.
type OpenPrescription struct {
	ResponseType
	Fetched
	PrescriptionStatus PrescriptionStatus
}

func (p *OpenPrescription) wire(c *codec) {
	p.wireResponse(c)
	if c.writing() && p.PrescriberID.IsZero() {
		c.fail("prescriberId", errMissing)
	}
	p.Fetched.wire(c)
	c.status("prescriptionStatus", &p.PrescriptionStatus, wanted)
}

func (*ListOpenPrescriptionsResult) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "listOpenPrescriptionsResult")
}
func (r *ListOpenPrescriptionsResult) roots() []string { return []string{r.root(0)} }
func (r *ListOpenPrescriptionsResult) wire(c *codec) {
	r.wireResponse(c)
	many(c, &r.Prescriptions, (*OpenPrescription).wire, "prescriptions")
	r.wireMore(c)
}

// ListReservationsResult lists the reservations at the pharmacy; executors.
type ListReservationsResult struct {
	ResponseType
	Items []Reservation
	More
}

// Reservation is a prescription that a patient asked the pharmacy to keep ready.
type Reservation struct {
	RID                     identity.RID
	ExecutorID              identity.Private
	CreationDateReservation time.Time
	LastUpdateReservation   time.Time
	Prescription            *OpenPrescription
	CreationDate            time.Time
	ExpirationDate          time.Time
	PrescriptionStatus      PrescriptionStatus
	PatientID               identity.Private
	PrescriberID            identity.Private
	EmailAddress            identity.Private
	TelephoneNumber         identity.Private
	ContactPreference       ContactPreference
}

func (r *Reservation) wire(c *codec) {
	c.rid("rid", &r.RID, wanted)
	c.party("executorId", &r.ExecutorID, optional)
	c.time("creationDateReservation", &r.CreationDateReservation, optional)
	c.time("lastUpdateReservation", &r.LastUpdateReservation, optional)
	maybe(c, "prescription", &r.Prescription, (*OpenPrescription).wire)
	c.time("creationDate", &r.CreationDate, optional)
	c.time("expirationDate", &r.ExpirationDate, optional)
	c.status("prescriptionStatus", &r.PrescriptionStatus, wanted)
	c.person("patientId", &r.PatientID, wanted)
	c.party("prescriberId", &r.PrescriberID, wanted)
	c.private("emailAddress", &r.EmailAddress, optional)
	c.private("telephoneNumber", &r.TelephoneNumber, optional)
	text(c, "contactPreference", &r.ContactPreference, optional)
}

func (*ListReservationsResult) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "listReservationsResult")
}
func (r *ListReservationsResult) roots() []string { return []string{r.root(0)} }
func (r *ListReservationsResult) wire(c *codec) {
	r.wireResponse(c)
	many(c, &r.Items, (*Reservation).wire, "items", "item")
	r.wireMore(c)
}

// ListPatientPrescriptionsResult lists the open prescriptions of the patient; patients.
type ListPatientPrescriptionsResult struct {
	ResponseType
	Prescriptions []PatientPrescription
	More
}

// PatientPrescription is a line of ListPatientPrescriptionsResult.
type PatientPrescription struct {
	RID             identity.RID
	PrescriberLabel identity.Private
	CreationDate    time.Time
	PrescriberID    identity.Private
}

func (p *PatientPrescription) wire(c *codec) {
	c.rid("rid", &p.RID, wanted)
	c.private("prescriberLabel", &p.PrescriberLabel, wanted)
	c.time("creationDate", &p.CreationDate, wanted)
	c.party("prescriberId", &p.PrescriberID, wanted)
}

func (*ListPatientPrescriptionsResult) root(r Role) string {
	return unless(r == Prescriber || r == Executor, "listPatientPrescriptionsResult")
}
func (r *ListPatientPrescriptionsResult) roots() []string { return []string{r.root(0)} }
func (r *ListPatientPrescriptionsResult) wire(c *codec) {
	r.wireResponse(c)
	many(c, &r.Prescriptions, (*PatientPrescription).wire, "prescriptions")
	r.wireMore(c)
}
