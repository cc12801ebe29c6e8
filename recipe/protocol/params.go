package protocol

import "github.com/ehealth-continuity/ehealth/identity"

// RevokePrescriptionParam takes a prescription back; all roles.
type RevokePrescriptionParam struct {
	Party
	RID    identity.RID
	Reason identity.Private // free text
	Keyed
}

func (*RevokePrescriptionParam) root(Role) string  { return "revokePrescriptionParam" }
func (p *RevokePrescriptionParam) roots() []string { return []string{p.root(0)} }
func (p *RevokePrescriptionParam) wire(c *codec) {
	p.wireParty(c)
	c.rid("rid", &p.RID, wanted)
	c.private("reason", &p.Reason, wanted)
	p.wireKey(c)
}

// GetPrescriptionStatusParam asks where a prescription stands; all roles, each in an order of its own. Patients have no
// Party.
type GetPrescriptionStatusParam struct {
	Party
	RID identity.RID
	Keyed
}

func (*GetPrescriptionStatusParam) root(Role) string  { return "getPrescriptionStatusParam" }
func (p *GetPrescriptionStatusParam) roots() []string { return []string{p.root(0)} }
func (p *GetPrescriptionStatusParam) wire(c *codec) {
	switch c.role {
	case Prescriber:
		p.wireParty(c)
		p.wireKey(c)
		c.rid("rid", &p.RID, wanted)
		return
	case Patient:
		p.wireNoParty(c)
	default:
		p.wireParty(c)
	}
	c.rid("rid", &p.RID, wanted)
	p.wireKey(c)
}

// ListOpenRidsParam lists the open prescriptions of a patient; prescribers and patients.
type ListOpenRidsParam struct {
	Party
	Keyed
	Paged
}

func (*ListOpenRidsParam) root(r Role) string { return unless(r == Executor, "listOpenRidsParam") }
func (p *ListOpenRidsParam) roots() []string  { return []string{p.root(0)} }
func (p *ListOpenRidsParam) wire(c *codec) {
	p.wireParty(c)
	p.wireKey(c)
	p.wirePage(c)
}

// ListRidsHistoryParam lists prescriptions with their state; all roles. Patients have no Party.
type ListRidsHistoryParam struct {
	Party
	Keyed
	ActiveResults bool // the active partition instead of the history
	Paged
}

func (*ListRidsHistoryParam) root(Role) string  { return "listRidsHistoryParam" }
func (p *ListRidsHistoryParam) roots() []string { return []string{p.root(0)} }
func (p *ListRidsHistoryParam) wire(c *codec) {
	if c.role == Patient {
		p.wireNoParty(c)
	} else {
		p.wireParty(c)
	}
	p.wireKey(c)
	c.boolean("activeResults", &p.ActiveResults, optional)
	p.wirePage(c)
}

// UpdateFeedbackFlagParam says whether pharmacies may send feedback (operation putFeedbackFlag); prescribers and patients.
type UpdateFeedbackFlagParam struct {
	Party
	RID           identity.RID
	AllowFeedback bool
	Keyed
}

func (*UpdateFeedbackFlagParam) root(r Role) string {
	return unless(r == Executor, "updateFeedbackFlagParam")
}
func (p *UpdateFeedbackFlagParam) roots() []string { return []string{p.root(0)} }
func (p *UpdateFeedbackFlagParam) wire(c *codec) {
	p.wireParty(c)
	c.rid("rid", &p.RID, wanted)
	c.boolean("allowFeedback", &p.AllowFeedback, wanted)
	p.wireKey(c)
}

// PutVisionParam sets who sees a prescription (putVisionForPrescriber, putVisionForPatient).
//
// Prescribers of the newer generation have Type, Vision and VisionOthers and no Party; the older generation and patients
// have only Vision, which they must give.
type PutVisionParam struct {
	Party
	Type         VisionType // send VisionTypePrescriber
	RID          identity.RID
	Vision       *Vision // nil: left out, newer generation only; a pointer to VisionOpen takes a restriction away
	VisionOthers VisionOthers
	Keyed
}

func (*PutVisionParam) root(r Role) string { return unless(r == Executor, "putVisionParam") }
func (p *PutVisionParam) roots() []string  { return []string{p.root(0)} }
func (p *PutVisionParam) wire(c *codec) {
	newer := !c.writing() || c.role == Prescriber && c.gen == Gen2023
	if newer {
		attrText(c, "type", &p.Type, optional)
	}
	if c.role == Prescriber && c.gen == Gen2021 {
		p.wireParty(c)
	} else {
		p.wireNoParty(c)
	}
	p.wireKey(c)
	c.rid("rid", &p.RID, wanted)
	p.wireVision(c, newer)
	if newer {
		text(c, "visionOtherPrescribers", &p.VisionOthers, optional)
	} else if p.Type != "" || p.VisionOthers != "" {
		c.fail("visionOtherPrescribers", errNotHere)
	}
}

// wireVision keeps apart a vision that is empty and one that is absent.
func (p *PutVisionParam) wireVision(c *codec, newer bool) {
	if c.err != nil {
		return
	}
	if c.writing() {
		if p.Vision != nil {
			text(c, "vision", p.Vision, wanted)
		} else if !newer {
			c.fail("vision", errMissing)
		}
		return
	}
	var v Vision
	if c.find("vision", optional) != nil {
		text(c, "vision", &v, optional)
		p.Vision = &v
	}
}

// ListRelationsParam lists mandates: of a mandate holder for executors, who must give MandateHolderID; of a patient for
// patients, who have none.
type ListRelationsParam struct {
	Party
	Keyed
	MandateHolderID identity.SSIN
	Paged
}

func (*ListRelationsParam) root(r Role) string { return unless(r == Prescriber, "listRelationsParam") }
func (p *ListRelationsParam) roots() []string  { return []string{p.root(0)} }
func (p *ListRelationsParam) wire(c *codec) {
	p.wireParty(c)
	p.wireKey(c)
	n := optional
	if c.writing() && c.role == Executor {
		n = must
	} else if c.writing() && !p.MandateHolderID.IsZero() {
		c.fail("mandateHolderId", errNotHere)
	}
	c.ssin("mandateHolderId", &p.MandateHolderID, n)
	p.wirePage(c)
}

func unless(not bool, name string) string {
	if not {
		return ""
	}
	return name
}
