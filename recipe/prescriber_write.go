package recipe

import (
	"context"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/recipe/protocol"
)

var (
	opRevoke       = operate(protocol.Prescriber, "revokePrescription", NoticeDown)
	opFeedbackFlag = operate(protocol.Prescriber, "putFeedbackFlag", NoticeDown)
	opVision       = operate(protocol.Prescriber, "putVisionForPrescriber", NoticeDown)
	opNotify       = operate(protocol.Prescriber, "sendNotification", NoticeDown)
)

// Revoke takes a prescription back, now. The reason is free text, and required. That it is revoked already is a success, whoever
// did it; a pharmacy that has it is a [*StateError]. [Prescriber.QueueRevoke] does it through the outbox.
func (p *Prescriber) Revoke(ctx context.Context, rid identity.RID, why identity.Private) error {
	return p.revokeAs(ctx, opRevoke, rid, why, protocol.Party{})
}

// SetFeedback says whether pharmacies may write back about a prescription.
func (p *Prescriber) SetFeedback(ctx context.Context, rid identity.RID, allowed bool) error {
	return askAbout(ctx, p.client, rid, question[*protocol.UpdateFeedbackFlagResult]{
		op: opFeedbackFlag, result: func() *protocol.UpdateFeedbackFlagResult { return new(protocol.UpdateFeedbackFlagResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.UpdateFeedbackFlagParam{RID: rid, AllowFeedback: allowed, Keyed: k}
		},
	})
}

// Visibility is who finds a prescription. One of Vision and Others must be given. What the platform does with the one that is left
// out is not published, and a prescription may be open to everybody after it: known clients always send both (dossier 04 section
// 11.3).
type Visibility struct {
	// Vision is for pharmacies; nil leaves it out (generation of 2023 only).
	Vision *protocol.Vision
	// Others is for other prescribers; "" leaves it out. Anything else is refused in the generation of 2021.
	Others protocol.VisionOthers
	// PrescriptionVersion and ReferenceSourceVersion are sent with [WithVisionAdministrative] only.
	PrescriptionVersion, ReferenceSourceVersion string
}

// check refuses what cannot be sent.
func (v Visibility) check(g protocol.Generation) error {
	switch {
	case v.Vision == nil && (v.Others == "" || g == protocol.Gen2021):
		return ErrRequest
	case g == protocol.Gen2021 && v.Others != "":
		return errOthers
	case v.Vision != nil:
		return protocol.CheckVision(protocol.Prescriber, *v.Vision)
	}
	return nil
}

// PutVision changes who finds a prescription.
func (p *Prescriber) PutVision(ctx context.Context, rid identity.RID, v Visibility) error {
	if err := v.check(p.conf.Generation); err != nil {
		return p.invalid(opVision.name, err)
	}
	q := question[*protocol.PutVisionResult]{
		op: opVision, result: func() *protocol.PutVisionResult { return new(protocol.PutVisionResult) },
		param: func(k protocol.Keyed) protocol.Param {
			out := &protocol.PutVisionParam{RID: rid, Vision: v.Vision, VisionOthers: v.Others, Keyed: k}
			if p.conf.Generation == protocol.Gen2023 {
				out.Type = protocol.VisionTypePrescriber
			}
			return out
		},
	}
	if p.conf.VisionAdministrative {
		q.clear = func(r *protocol.Request) {
			r.Administrative = &protocol.Administrative{
				PrescriptionVersion: orElse(v.PrescriptionVersion, "kmehr_"+kmehr.StandardVersion), ReferenceSourceVersion: orElse(v.ReferenceSourceVersion, kmehr.Unknown),
			}
		}
	}
	return askAbout(ctx, p.client, rid, q)
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// OutgoingNotification is a message to a pharmacy about a patient.
type OutgoingNotification struct {
	Pharmacy identity.NIHII
	Patient  identity.SSIN
	Text     identity.Private
}

// SendNotification writes to a pharmacy, sealed for it. It is not repeated once it may have arrived.
func (p *Prescriber) SendNotification(ctx context.Context, n OutgoingNotification) error {
	if n.Pharmacy.IsZero() || n.Patient.IsZero() || n.Text.IsZero() {
		return p.invalid(opNotify.name, ErrRequest)
	}
	to, err := etee.NewIdentifier(identity.TypePharmacy, n.Pharmacy.Base(), "")
	if err != nil {
		return p.invalid(opNotify.name, err)
	}
	content, err := (&protocol.Notification{Text: n.Text}).Encode()
	if err != nil {
		return p.invalid(opNotify.name, err)
	}
	sealed, err := p.sealFor(ctx, opNotify.name, content, to)
	if err != nil {
		return err
	}
	_, err = ask(ctx, p.client, question[*protocol.SendNotificationResult]{
		op: opNotify, result: func() *protocol.SendNotificationResult { return new(protocol.SendNotificationResult) },
		param: func(k protocol.Keyed) protocol.Param {
			return &protocol.SendNotificationParam{Party: protocol.Party{ExecutorID: n.Pharmacy, PatientID: n.Patient}, Content: sealed, Keyed: k}
		},
	})
	return err
}
