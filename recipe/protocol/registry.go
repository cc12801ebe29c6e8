package protocol

// shapes makes empty payloads by the local name of their root.
var shapes = map[string]func() Payload{
	"revokePrescriptionParam":                func() Payload { return new(RevokePrescriptionParam) },
	"getPrescriptionStatusParam":             func() Payload { return new(GetPrescriptionStatusParam) },
	"listOpenRidsParam":                      func() Payload { return new(ListOpenRidsParam) },
	"listRidsHistoryParam":                   func() Payload { return new(ListRidsHistoryParam) },
	"updateFeedbackFlagParam":                func() Payload { return new(UpdateFeedbackFlagParam) },
	"putVisionParam":                         func() Payload { return new(PutVisionParam) },
	"listRelationsParam":                     func() Payload { return new(ListRelationsParam) },
	"createPrescriptionParam":                func() Payload { return new(CreatePrescriptionParam) },
	"getPrescriptionForPrescriberParam":      func() Payload { return new(GetPrescriptionForPrescriberParam) },
	"listPrescriptionsParam":                 func() Payload { return new(ListPrescriptionsParam) },
	"listFeedbacksParam":                     func() Payload { return new(ListFeedbacksParam) },
	"sendNotificationParam":                  func() Payload { return new(SendNotificationParam) },
	"validationPropertiesParam":              func() Payload { return new(ValidationPropertiesParam) },
	"getPrescriptionForExecutorParam":        func() Payload { return new(GetPrescriptionForExecutorParam) },
	"markAsDeliveredParam":                   func() Payload { return new(MarkAsDeliveredParam) },
	"markAsArchivedParam":                    func() Payload { return new(MarkAsArchivedParam) },
	"markAsUndeliveredParam":                 func() Payload { return new(MarkAsUndeliveredParam) },
	"createFeedbackParam":                    func() Payload { return new(CreateFeedbackParam) },
	"listNotificationsParam":                 func() Payload { return new(ListNotificationsParam) },
	"putRidsInProcessParam":                  func() Payload { return new(PutRidsInProcessParam) },
	"listRidsInProcessParam":                 func() Payload { return new(ListRidsInProcessParam) },
	"listOpenPrescriptionsParam":             func() Payload { return new(ListOpenPrescriptionsParam) },
	"listReservationsParam":                  func() Payload { return new(ListReservationsParam) },
	"listPatientPrescriptionsParam":          func() Payload { return new(ListPatientPrescriptionsParam) },
	"getPrescriptionForPatientParam":         func() Payload { return new(GetPrescriptionForPatientParam) },
	"getVisionParam":                         func() Payload { return new(GetVisionParam) },
	"createReservationParam":                 func() Payload { return new(CreateReservationParam) },
	"createRelationParam":                    func() Payload { return new(CreateRelationParam) },
	"revokeRelationParam":                    func() Payload { return new(RevokeRelationParam) },
	"createPrescriptionResult":               func() Payload { return new(CreatePrescriptionResult) },
	"getPrescriptionStatusResult":            func() Payload { return new(GetPrescriptionStatusResult) },
	"listOpenRidsResult":                     func() Payload { return new(ListOpenRidsResult) },
	"listRidsHistoryResult":                  func() Payload { return new(ListRidsHistoryResult) },
	"getVisionResult":                        func() Payload { return new(GetVisionResult) },
	"listRelationsResult":                    func() Payload { return new(ListRelationsResult) },
	"getPrescriptionForPrescriberResult":     func() Payload { return new(GetPrescriptionForPrescriberResult) },
	"getPrescriptionForPatientResult":        func() Payload { return new(GetPrescriptionForPatientResult) },
	"getPrescriptionForExecutorResultSealed": func() Payload { return new(GetPrescriptionForExecutorResult) },
	"listPrescriptionsResult":                func() Payload { return new(ListPrescriptionsResult) },
	"listFeedbacksResult":                    func() Payload { return new(ListFeedbacksResult) },
	"validationPropertiesResult":             func() Payload { return new(ValidationPropertiesResult) },
	"listNotificationsResult":                func() Payload { return new(ListNotificationsResult) },
	"putRidsInProcessResult":                 func() Payload { return new(PutRidsInProcessResult) },
	"listRidsInProcessResult":                func() Payload { return new(ListRidsInProcessResult) },
	"listOpenPrescriptionsResult":            func() Payload { return new(ListOpenPrescriptionsResult) },
	"listReservationsResult":                 func() Payload { return new(ListReservationsResult) },
	"listPatientPrescriptionsResult":         func() Payload { return new(ListPatientPrescriptionsResult) },
	"revokePrescriptionResult":               func() Payload { return new(RevokePrescriptionResult) },
	"updateFeedbackFlagResult":               func() Payload { return new(UpdateFeedbackFlagResult) },
	"putVisionResult":                        func() Payload { return new(PutVisionResult) },
	"sendNotificationResult":                 func() Payload { return new(SendNotificationResult) },
	"markAsDeliveredResult":                  func() Payload { return new(MarkAsDeliveredResult) },
	"markAsArchivedResult":                   func() Payload { return new(MarkAsArchivedResult) },
	"markAsUndeliveredResult":                func() Payload { return new(MarkAsUndeliveredResult) },
	"createFeedbackResult":                   func() Payload { return new(CreateFeedbackResult) },
	"createReservationResult":                func() Payload { return new(CreateReservationResult) },
	"createRelationResult":                   func() Payload { return new(CreateRelationResult) },
	"revokeRelationResult":                   func() Payload { return new(RevokeRelationResult) },
}

// NewParam returns an empty param of the operation, nil for the zero Operation.
func (o Operation) NewParam() Param {
	if f := shapes[o.Param]; f != nil {
		p, _ := f().(Param)
		return p
	}
	return nil
}

// NewResult returns an empty result of the operation, nil for the zero Operation.
func (o Operation) NewResult() Result {
	if f := shapes[o.Result]; f != nil {
		r, _ := f().(Result)
		return r
	}
	return nil
}

// Open decrypts the SecuredContent of an answer and reads what is in it into r, which must be empty. Every failure means
// that the content is not an answer to the request with this key, or not as in the protocol: nothing of it may be shown,
// and whether a write was carried out is unknown.
func (k ResponseKey) Open(sealed []byte, r Result) (Deviations, error) {
	doc, err := k.Decrypt(sealed)
	if err != nil {
		return Deviations{}, err
	}
	return Decode(doc, r)
}
