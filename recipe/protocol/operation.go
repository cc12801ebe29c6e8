package protocol

// Role is who speaks; each has its own service address, and its own namespace for what is sealed.
type Role uint8

// The roles.
const (
	Prescriber Role = iota + 1
	Executor        // the pharmacy
	Patient
)

// String returns "prescriber", "executor" or "patient".
func (r Role) String() string {
	switch r {
	case Prescriber:
		return "prescriber"
	case Executor:
		return "executor"
	case Patient:
		return "patient"
	}
	return "unknown"
}

// Namespace is that of the sealed payloads; the single slash is the protocol's (dossier 04 section 5).
func (r Role) Namespace() string { return "http:/services.recipe.be/" + r.String() }

// Generation is which shape sealed params have. It changes createPrescriptionParam and putVisionParam; listPrescriptions
// exists in the newer one only.
type Generation uint8

// The generations. The zero value is the one in use today.
const (
	Gen2023 Generation = iota
	Gen2021
)

// String returns "2023" or "2021".
func (g Generation) String() string {
	if g == Gen2021 {
		return "2021"
	}
	return "2023"
}

const (
	nsProtocol = "urn:be:fgov:ehealth:recipe:protocol:v4"
	nsCommons  = "urn:be:fgov:ehealth:commons:core:v2"
	nsContent  = "http://services.recipe.be" // two slashes: notification and feedback
)

// Effect says what repeating an operation does (dossier 04 section 14.3).
type Effect uint8

// The effects.
const (
	EffectRead       Effect = iota // changes nothing, but for marking notes as read
	EffectIdempotent               // a write that may be repeated, judged by the state found
	EffectCheck                    // a write to look up with a list before repeating
	EffectOnce                     // a write that must not be repeated once it may have arrived
)

// Operation is one row of the protocol's table of operations (dossier 04 section 4).
type Operation struct {
	Role   Role
	Name   string // the operation, such as "putFeedbackFlag"
	Action string // behind the namespace in SOAPAction; the Name but for one operation
	Stem   string // of the outer elements <Stem>Request, Secured<Stem>Request, <Stem>Response, Secured<Stem>Response
	Param  string // root of what is sealed in the request
	Result string // root of what is sealed in the answer
	Effect Effect
	Since  Generation
}

// SOAPAction is the value of the HTTP header without the double quotes around it.
func (o Operation) SOAPAction() string { return nsProtocol + ":" + o.Action }

// IsZero tells that there is no operation.
func (o Operation) IsZero() bool { return o == Operation{} }

func op(r Role, name, stem, payload string, e Effect) Operation {
	return Operation{
		Role: r, Name: name, Action: name, Stem: stem, Param: payload + "Param", Result: payload + "Result",
		Effect: e, Since: Gen2021,
	}
}

var operations = []Operation{
	op(Prescriber, "createPrescription", "CreatePrescription", "createPrescription", EffectOnce),
	op(Prescriber, "revokePrescription", "RevokePrescription", "revokePrescription", EffectIdempotent),
	op(Prescriber, "getPrescription", "GetPrescription", "getPrescriptionForPrescriber", EffectRead),
	op(Prescriber, "getPrescriptionStatus", "GetPrescriptionStatus", "getPrescriptionStatus", EffectRead),
	withAction(op(Prescriber, "listOpenRids", "ListOpenRids", "listOpenRids", EffectRead), "ListOpenRids"),
	op(Prescriber, "listRidsHistory", "ListRidsHistory", "listRidsHistory", EffectRead),
	since2023(op(Prescriber, "listPrescriptions", "ListPrescriptions", "listPrescriptions", EffectRead)),
	op(Prescriber, "putFeedbackFlag", "PutFeedbackFlag", "updateFeedbackFlag", EffectIdempotent),
	op(Prescriber, "listFeedbacks", "ListFeedbacks", "listFeedbacks", EffectRead),
	op(Prescriber, "sendNotification", "SendNotification", "sendNotification", EffectOnce),
	op(Prescriber, "putVisionForPrescriber", "PutVisionForPrescriber", "putVision", EffectIdempotent),
	op(Prescriber, "getValidationProperties", "GetValidationProperties", "validationProperties", EffectRead),

	withResult(op(Executor, "getPrescriptionForExecutor", "GetPrescriptionForExecutor", "getPrescriptionForExecutor", EffectIdempotent),
		"getPrescriptionForExecutorResultSealed"),
	op(Executor, "markAsDelivered", "MarkAsDelivered", "markAsDelivered", EffectIdempotent),
	op(Executor, "markAsArchived", "MarkAsArchived", "markAsArchived", EffectIdempotent),
	op(Executor, "markAsUnDelivered", "MarkAsUnDelivered", "markAsUndelivered", EffectIdempotent),
	op(Executor, "revokePrescription", "RevokePrescription", "revokePrescription", EffectIdempotent),
	op(Executor, "createFeedback", "CreateFeedback", "createFeedback", EffectOnce),
	op(Executor, "listNotifications", "ListNotifications", "listNotifications", EffectRead),
	op(Executor, "putRidsInProcess", "PutRidsInProcess", "putRidsInProcess", EffectIdempotent),
	op(Executor, "listRidsInProcess", "ListRidsInProcess", "listRidsInProcess", EffectRead),
	op(Executor, "listOpenPrescriptions", "ListOpenPrescriptions", "listOpenPrescriptions", EffectRead),
	op(Executor, "listRidsHistory", "ListRidsHistory", "listRidsHistory", EffectRead),
	op(Executor, "listReservations", "ListReservations", "listReservations", EffectRead),
	op(Executor, "listRelations", "ListRelations", "listRelations", EffectRead),
	op(Executor, "getPrescriptionStatus", "GetPrescriptionStatus", "getPrescriptionStatus", EffectRead),

	op(Patient, "listOpenRids", "ListOpenRids", "listOpenRids", EffectRead),
	op(Patient, "listOpenPrescriptions", "ListOpenPrescriptions", "listPatientPrescriptions", EffectRead),
	op(Patient, "getPrescription", "GetPrescription", "getPrescriptionForPatient", EffectRead),
	op(Patient, "getPrescriptionStatus", "GetPrescriptionStatus", "getPrescriptionStatus", EffectRead),
	op(Patient, "listRidsHistory", "ListRidsHistory", "listRidsHistory", EffectRead),
	op(Patient, "revokePrescription", "RevokePrescription", "revokePrescription", EffectIdempotent),
	op(Patient, "putFeedbackFlag", "PutFeedbackFlag", "updateFeedbackFlag", EffectIdempotent),
	op(Patient, "putVisionForPatient", "PutVisionForPatient", "putVision", EffectIdempotent),
	op(Patient, "getVision", "GetVision", "getVision", EffectRead),
	op(Patient, "createReservation", "CreateReservation", "createReservation", EffectCheck),
	op(Patient, "listRelations", "ListRelations", "listRelations", EffectRead),
	op(Patient, "createRelation", "CreateRelation", "createRelation", EffectCheck),
	op(Patient, "revokeRelation", "RevokeRelation", "revokeRelation", EffectCheck),
}

func withAction(o Operation, action string) Operation { o.Action = action; return o }
func withResult(o Operation, result string) Operation { o.Result = result; return o }
func since2023(o Operation) Operation                 { o.Since = Gen2023; return o }

// Operations returns a copy of the table, in the order of the dossier.
func Operations() []Operation { return append([]Operation(nil), operations...) }

// Find returns the operation of that name (as in [Operation].Name) of a role.
func Find(r Role, name string) (Operation, bool) {
	for _, o := range operations {
		if o.Role == r && o.Name == name {
			return o, true
		}
	}
	return Operation{}, false
}

// Of returns the operation of a role that sends p; ok is false when the role has none.
func Of(r Role, p Param) (o Operation, ok bool) {
	for _, o := range operations {
		if o.Role == r && o.Param == p.root(r) {
			return o, true
		}
	}
	return Operation{}, false
}
