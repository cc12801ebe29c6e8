package protocol

import (
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// ListPatientPrescriptionsParam lists the open prescriptions of the patient (operation listOpenPrescriptions); patients.
type ListPatientPrescriptionsParam struct {
	Party
	Keyed
	Paged
}

func (*ListPatientPrescriptionsParam) root(r Role) string {
	return unless(r == Prescriber || r == Executor, "listPatientPrescriptionsParam")
}
func (p *ListPatientPrescriptionsParam) roots() []string { return []string{p.root(0)} }
func (p *ListPatientPrescriptionsParam) wire(c *codec) {
	p.wireParty(c)
	p.wireKey(c)
	p.wirePage(c)
}

// GetPrescriptionForPatientParam fetches a prescription (operation getPrescription); patients.
type GetPrescriptionForPatientParam struct {
	Party
	RID identity.RID
	Keyed
	Version string // "v2", as executors send
}

func (*GetPrescriptionForPatientParam) root(r Role) string {
	return unless(r == Prescriber || r == Executor, "getPrescriptionForPatientParam")
}
func (p *GetPrescriptionForPatientParam) roots() []string { return []string{p.root(0)} }
func (p *GetPrescriptionForPatientParam) wire(c *codec) {
	p.wireParty(c)
	c.rid("rid", &p.RID, wanted)
	p.wireKey(c)
	text(c, "version", &p.Version, wanted)
}

// GetVisionParam asks who finds a prescription; patients.
type GetVisionParam struct {
	Keyed
	RID identity.RID
}

func (*GetVisionParam) root(r Role) string {
	return unless(r == Prescriber || r == Executor, "getVisionParam")
}
func (p *GetVisionParam) roots() []string { return []string{p.root(0)} }
func (p *GetVisionParam) wire(c *codec) {
	p.wireKey(c)
	c.rid("rid", &p.RID, wanted)
}

// CreateReservationParam asks a pharmacy to keep what was prescribed ready; patients.
type CreateReservationParam struct {
	Keyed
	RID        identity.RID
	ExecutorID identity.NIHII
}

func (*CreateReservationParam) root(r Role) string {
	return unless(r == Prescriber || r == Executor, "createReservationParam")
}
func (p *CreateReservationParam) roots() []string { return []string{p.root(0)} }
func (p *CreateReservationParam) wire(c *codec) {
	p.wireKey(c)
	c.rid("rid", &p.RID, wanted)
	c.nihii("executorId", &p.ExecutorID, wanted)
}

// CreateRelationParam lets somebody fetch what is prescribed to the patient; patients.
type CreateRelationParam struct {
	Party
	PatientFirstname identity.Private
	PatientLastname  identity.Private
	MandateHolderID  identity.SSIN
	EndDate          time.Time // zero: none
	Keyed
}

func (*CreateRelationParam) root(r Role) string {
	return unless(r == Prescriber || r == Executor, "createRelationParam")
}
func (p *CreateRelationParam) roots() []string { return []string{p.root(0)} }
func (p *CreateRelationParam) wire(c *codec) {
	p.wireParty(c)
	c.private("patientFirstname", &p.PatientFirstname, wanted)
	c.private("patientLastname", &p.PatientLastname, wanted)
	c.ssin("mandateHolderId", &p.MandateHolderID, wanted)
	c.time("endDate", &p.EndDate, optional)
	p.wireKey(c)
}

// RevokeRelationParam takes a mandate back; patients.
type RevokeRelationParam struct {
	Party
	MandateHolderID identity.SSIN
	Keyed
}

func (*RevokeRelationParam) root(r Role) string {
	return unless(r == Prescriber || r == Executor, "revokeRelationParam")
}
func (p *RevokeRelationParam) roots() []string { return []string{p.root(0)} }
func (p *RevokeRelationParam) wire(c *codec) {
	p.wireParty(c)
	c.ssin("mandateHolderId", &p.MandateHolderID, wanted)
	p.wireKey(c)
}
