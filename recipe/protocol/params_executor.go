package protocol

import (
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// GetPrescriptionForExecutorParam fetches a prescription and takes it into process; executors.
type GetPrescriptionForExecutorParam struct {
	Party
	RID identity.RID
	Keyed
	Version string // "v2": the content is a TimestampedPrescription
}

func (*GetPrescriptionForExecutorParam) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "getPrescriptionForExecutorParam")
}
func (p *GetPrescriptionForExecutorParam) roots() []string { return []string{p.root(0)} }
func (p *GetPrescriptionForExecutorParam) wire(c *codec) {
	p.wireParty(c)
	c.rid("rid", &p.RID, wanted)
	p.wireKey(c)
	text(c, "version", &p.Version, wanted)
}

// mark is the shape of the three params that move a prescription on.
type mark struct {
	Party
	RID identity.RID
	Keyed
}

func (p *mark) wire(c *codec) {
	p.wireParty(c)
	c.rid("rid", &p.RID, wanted)
	p.wireKey(c)
}

// MarkAsDeliveredParam says that a prescription was dispensed; executors.
type MarkAsDeliveredParam struct {
	Party
	RID identity.RID
	Keyed
}

func (*MarkAsDeliveredParam) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "markAsDeliveredParam")
}
func (p *MarkAsDeliveredParam) roots() []string { return []string{p.root(0)} }
func (p *MarkAsDeliveredParam) wire(c *codec)   { (*mark)(p).wire(c) }

// MarkAsArchivedParam says that a dispensed prescription is done with; executors.
type MarkAsArchivedParam struct {
	Party
	RID identity.RID
	Keyed
}

func (*MarkAsArchivedParam) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "markAsArchivedParam")
}
func (p *MarkAsArchivedParam) roots() []string { return []string{p.root(0)} }
func (p *MarkAsArchivedParam) wire(c *codec)   { (*mark)(p).wire(c) }

// MarkAsUndeliveredParam takes a delivery back (operation markAsUnDelivered, with another capital); executors.
type MarkAsUndeliveredParam struct {
	Party
	RID identity.RID
	Keyed
}

func (*MarkAsUndeliveredParam) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "markAsUndeliveredParam")
}
func (p *MarkAsUndeliveredParam) roots() []string { return []string{p.root(0)} }
func (p *MarkAsUndeliveredParam) wire(c *codec)   { (*mark)(p).wire(c) }

// CreateFeedbackParam writes back to the prescriber (PrescriberID of Party); executors.
type CreateFeedbackParam struct {
	Party
	RID     identity.RID
	Content []byte // a Feedback, compressed and sealed for the prescriber
	Keyed
}

func (*CreateFeedbackParam) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "createFeedbackParam")
}
func (p *CreateFeedbackParam) roots() []string { return []string{p.root(0)} }
func (p *CreateFeedbackParam) wire(c *codec) {
	p.wireParty(c)
	c.rid("rid", &p.RID, wanted)
	c.bytes("content", &p.Content, wanted)
	p.wireKey(c)
}

// ListNotificationsParam lists what prescribers wrote; executors. What ReadFlag selects is not published.
type ListNotificationsParam struct {
	Party
	ReadFlag bool
	Keyed
}

func (*ListNotificationsParam) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "listNotificationsParam")
}
func (p *ListNotificationsParam) roots() []string { return []string{p.root(0)} }
func (p *ListNotificationsParam) wire(c *codec) {
	p.wireParty(c)
	c.boolean("readFlag", &p.ReadFlag, wanted)
	p.wireKey(c)
}

// MaxRIDsInProcess is how many prescriptions one putRidsInProcess may name.
const MaxRIDsInProcess = 10

// PutRidsInProcessParam takes up to ten prescriptions into process; executors.
type PutRidsInProcessParam struct {
	Party
	RIDs []identity.RID
	Keyed
}

func (*PutRidsInProcessParam) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "putRidsInProcessParam")
}
func (p *PutRidsInProcessParam) roots() []string { return []string{p.root(0)} }
func (p *PutRidsInProcessParam) wire(c *codec) {
	p.wireParty(c)
	if c.writing() && len(p.RIDs) == 0 {
		c.fail("rids", errMissing)
	}
	if c.writing() && len(p.RIDs) > MaxRIDsInProcess {
		c.fail("rids", errMany)
	}
	c.rids("rids", &p.RIDs)
	p.wireKey(c)
}

// ListRidsInProcessParam lists what the pharmacy has in process; executors.
type ListRidsInProcessParam struct {
	Party
	Keyed
	Paged
}

func (*ListRidsInProcessParam) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "listRidsInProcessParam")
}
func (p *ListRidsInProcessParam) roots() []string { return []string{p.root(0)} }
func (p *ListRidsInProcessParam) wire(c *codec) {
	p.wireParty(c)
	p.wireKey(c)
	p.wirePage(c)
}

// ListOpenPrescriptionsParam lists the open prescriptions of a patient with their content; executors.
type ListOpenPrescriptionsParam struct {
	Party
	Keyed
	MandateHolderID identity.SSIN // who asks for the patient, when somebody does
	Paged
}

func (*ListOpenPrescriptionsParam) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "listOpenPrescriptionsParam")
}
func (p *ListOpenPrescriptionsParam) roots() []string { return []string{p.root(0)} }
func (p *ListOpenPrescriptionsParam) wire(c *codec) {
	p.wireParty(c)
	p.wireKey(c)
	c.ssin("mandateHolderId", &p.MandateHolderID, optional)
	p.wirePage(c)
}

// ListReservationsParam lists the reservations at the pharmacy since StartDate; executors.
type ListReservationsParam struct {
	Party
	Keyed
	StartDate time.Time
	Paged
}

func (*ListReservationsParam) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "listReservationsParam")
}
func (p *ListReservationsParam) roots() []string { return []string{p.root(0)} }
func (p *ListReservationsParam) wire(c *codec) {
	p.wireParty(c)
	p.wireKey(c)
	c.time("startDate", &p.StartDate, wanted)
	p.wirePage(c)
}
