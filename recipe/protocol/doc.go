// Package protocol holds the messages of Recip-e v4 for prescribers, executors (pharmacies) and patients: the outer
// bodies that the platform reads, the params and results inside the seals, the key that ties an answer to its request,
// the contents of notifications and feedbacks, and the rules for what may be sent. It does no input or output, and seals
// nothing but answers.
//
// A request is a [Param], sealed for Recip-e, in a [Request]; an answer is a [Response] with a [Result] that only the key
// of the request opens:
//
//	key := protocol.NewResponseKey() // a fresh one for every attempt
//	op, _ := protocol.Find(protocol.Prescriber, "getPrescriptionStatus")
//	param := &protocol.GetPrescriptionStatusParam{RID: rid, Keyed: protocol.Keyed{SymmKey: key}}
//	if err := protocol.Check(op.Role, param, now); err != nil {
//		return err // *ValidationError with the code that service desks know
//	}
//	plain, err := protocol.Encode(op.Role, protocol.Gen2023, param)
//	// ... seal plain, put it into a protocol.Request, send, find the body of the answer ...
//	answer, _, err := protocol.DecodeResponse(op, body)
//	if err == nil && answer.Status.OK() {
//		result := new(protocol.GetPrescriptionStatusResult)
//		_, err = key.Open(answer.SecuredContent, result) // then result.Status.OK()
//	}
//
// # Writing and reading
//
// What is written follows the schemas of the role and the [Generation]: order, the namespaces with their single slash
// (two for notifications and feedbacks), a prefix on the root and none below, optional parts left out when empty. [Encode]
// refuses with a *[MessageError] what lacks a part that must be there, and what has a part that the role or generation
// does not know: nothing is dropped unseen.
//
// What is read is taken by name in any order and any namespace, with zeros put back where a numeric type lost them.
// Elements without a known meaning are counted, parts that are missing or malformed are listed in [Deviations]. Refused,
// with a *[MessageError] or the error of the XML parser, is what is not XML or larger than 16 MiB, an answer without status,
// and a known element that stands twice.
//
// Neither errors nor deviations quote content. Numbers of people, care providers and prescriptions are values of package
// identity, strict where they are sent and [identity.Private] where an answer may hold anything; they, the [ResponseKey] and
// texts of the server do not print.
//
// # Operations
//
// SOAPAction is urn:be:fgov:ehealth:recipe:protocol:v4: and the action; the body elements are the stem with Request and
// Response. [Operations] returns this table with what repeating does:
//
//	role       action                      stem                        param                              result
//	prescriber createPrescription          CreatePrescription          createPrescriptionParam            createPrescriptionResult
//	prescriber revokePrescription          RevokePrescription          revokePrescriptionParam            revokePrescriptionResult
//	prescriber getPrescription             GetPrescription             getPrescriptionForPrescriberParam  getPrescriptionForPrescriberResult
//	prescriber getPrescriptionStatus       GetPrescriptionStatus       getPrescriptionStatusParam         getPrescriptionStatusResult
//	prescriber ListOpenRids                ListOpenRids                listOpenRidsParam                  listOpenRidsResult
//	prescriber listRidsHistory             ListRidsHistory             listRidsHistoryParam               listRidsHistoryResult
//	prescriber listPrescriptions           ListPrescriptions           listPrescriptionsParam             listPrescriptionsResult
//	prescriber putFeedbackFlag             PutFeedbackFlag             updateFeedbackFlagParam            updateFeedbackFlagResult
//	prescriber listFeedbacks               ListFeedbacks               listFeedbacksParam                 listFeedbacksResult
//	prescriber sendNotification            SendNotification            sendNotificationParam              sendNotificationResult
//	prescriber putVisionForPrescriber      PutVisionForPrescriber      putVisionParam                     putVisionResult
//	prescriber getValidationProperties     GetValidationProperties     validationPropertiesParam          validationPropertiesResult
//	executor   getPrescriptionForExecutor  GetPrescriptionForExecutor  getPrescriptionForExecutorParam    getPrescriptionForExecutorResultSealed
//	executor   markAsDelivered             MarkAsDelivered             markAsDeliveredParam               markAsDeliveredResult
//	executor   markAsArchived              MarkAsArchived              markAsArchivedParam                markAsArchivedResult
//	executor   markAsUnDelivered           MarkAsUnDelivered           markAsUndeliveredParam             markAsUndeliveredResult
//	executor   revokePrescription          RevokePrescription          revokePrescriptionParam            revokePrescriptionResult
//	executor   createFeedback              CreateFeedback              createFeedbackParam                createFeedbackResult
//	executor   listNotifications           ListNotifications           listNotificationsParam             listNotificationsResult
//	executor   putRidsInProcess            PutRidsInProcess            putRidsInProcessParam              putRidsInProcessResult
//	executor   listRidsInProcess           ListRidsInProcess           listRidsInProcessParam             listRidsInProcessResult
//	executor   listOpenPrescriptions       ListOpenPrescriptions       listOpenPrescriptionsParam         listOpenPrescriptionsResult
//	executor   listRidsHistory             ListRidsHistory             listRidsHistoryParam               listRidsHistoryResult
//	executor   listReservations            ListReservations            listReservationsParam              listReservationsResult
//	executor   listRelations               ListRelations               listRelationsParam                 listRelationsResult
//	executor   getPrescriptionStatus       GetPrescriptionStatus       getPrescriptionStatusParam         getPrescriptionStatusResult
//	patient    listOpenRids                ListOpenRids                listOpenRidsParam                  listOpenRidsResult
//	patient    listOpenPrescriptions       ListOpenPrescriptions       listPatientPrescriptionsParam      listPatientPrescriptionsResult
//	patient    getPrescription             GetPrescription             getPrescriptionForPatientParam     getPrescriptionForPatientResult
//	patient    getPrescriptionStatus       GetPrescriptionStatus       getPrescriptionStatusParam         getPrescriptionStatusResult
//	patient    listRidsHistory             ListRidsHistory             listRidsHistoryParam               listRidsHistoryResult
//	patient    revokePrescription          RevokePrescription          revokePrescriptionParam            revokePrescriptionResult
//	patient    putFeedbackFlag             PutFeedbackFlag             updateFeedbackFlagParam            updateFeedbackFlagResult
//	patient    putVisionForPatient         PutVisionForPatient         putVisionParam                     putVisionResult
//	patient    getVision                   GetVision                   getVisionParam                     getVisionResult
//	patient    createReservation           CreateReservation           createReservationParam             createReservationResult
//	patient    listRelations               ListRelations               listRelationsParam                 listRelationsResult
//	patient    createRelation              CreateRelation              createRelationParam                createRelationResult
//	patient    revokeRelation              RevokeRelation              revokeRelationParam                revokeRelationResult
//
// Source: dossier 04. listPrescriptions exists in the newer generation only.
package protocol
