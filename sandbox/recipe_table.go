package sandbox

import "strings"

// recipeOperation is one row of the table of dossier 04 section 4. Fields left "" follow from the name: getVision has stem
// GetVision, SOAPAction …:getVision, getVisionParam and getVisionResult.
type recipeOperation struct {
	name   string
	stem   string // of the body elements
	action string // last part of the SOAPAction
	param  string // local name inside the seal
	result string
	clear  []xsParticle // what follows the Secured element of the request
	writes bool         // changes something: counted when its Id comes again
	do     recipeHandler

	request *xsType
}

// recipeService is the operations of one role.
type recipeService struct {
	operations []operation
	byElement  map[string]*recipeOperation
}

// newRecipeService completes the rows. An operation without handler is none.
func newRecipeService(rows []recipeOperation) *recipeService {
	svc := &recipeService{byElement: map[string]*recipeOperation{}}
	for _, op := range rows {
		if op.do == nil {
			continue
		}
		for field, value := range map[*string]string{
			&op.stem:   strings.ToUpper(op.name[:1]) + op.name[1:],
			&op.action: op.name, &op.param: op.name + "Param", &op.result: op.name + "Result",
		} {
			if *field == "" {
				*field = value
			}
		}
		element := op.stem + "Request"
		op.request = recipeRequestType(op.stem, op.clear)
		svc.operations = append(svc.operations, operation{qname{nsRecipe, element}, []string{nsRecipe + ":" + op.action}})
		svc.byElement[element] = &op
	}
	return svc
}

// recipeRequestType is the type of an outer request: children in no namespace (dossier 04 3.3 and 4.4).
func recipeRequestType(stem string, clear []xsParticle) *xsType {
	sealed := &xsType{name: qname{"", "SecuredContentType"}, seq: []xsParticle{xsOne("", "SecuredContent", xsLeaf(xsBase64))}}
	return &xsType{
		name: qname{nsRecipe, stem + "RequestType"},
		seq:  append([]xsParticle{xsOne("", "Secured"+stem+"Request", sealed)}, clear...),
		attrs: []xsAttr{
			{local: "Id", typ: xsID},
			{local: "IssueInstant", typ: xsDateTime, required: true},
			{local: "ProgramId", typ: xsString, required: true},
		},
	}
}

// recipeClear are the clear parts of requests (dossier 04 4.4). AdministrativeInformation of putVisionForPrescriber is in the
// schema, and deployed clients leave it out.
var (
	recipeClearCreate = []xsParticle{xsOne("", "AdministrativeInformation", &xsType{
		name: qname{nsRecipe, "CreatePrescriptionAdministrativeInformationType"}, seq: []xsParticle{
			xsOne("", "PrescriptionType", xsLeaf(xsString)), xsOne("", "PrescriptionVersion", xsLeaf(xsString)),
			xsOne("", "ReferenceSourceVersion", xsLeaf(xsString)), xsOne("", "KeyIdentifier", xsLeaf(xsBase64)),
		},
	})}
	recipeClearVision = []xsParticle{xsOpt("", "AdministrativeInformation", &xsType{
		name: qname{nsRecipe, "PrescriberPutVisionInformationType"}, seq: []xsParticle{
			xsOne("", "PrescriptionVersion", xsLeaf(xsString)), xsOne("", "ReferenceSourceVersion", xsLeaf(xsString)),
		},
	})}
	recipeClearGet = []xsParticle{xsOne("", "DisablePatientInsurabilityCheckParam", xsLeaf(xsBoolean))}
)

// recipeTable is every operation of v4. The names that do not follow from the operation's are those of dossier 04 4.1 to 4.3.
func recipeTable() map[recipeRole][]recipeOperation {
	return map[recipeRole][]recipeOperation{
		recipePrescriber: {
			{name: "createPrescription", clear: recipeClearCreate, writes: true, do: (*recipeCall).create},
			{name: "revokePrescription", writes: true, do: (*recipeCall).revokeByPrescriber},
			{
				name: "getPrescription", param: "getPrescriptionForPrescriberParam", result: "getPrescriptionForPrescriberResult",
				do: (*recipeCall).getForPrescriber,
			},
			{name: "getPrescriptionStatus", do: (*recipeCall).status},
			{name: "listOpenRids", action: "ListOpenRids", do: (*recipeCall).listOpenRids},
			{name: "listRidsHistory", do: (*recipeCall).listHistoryForPrescriber},
			{name: "listPrescriptions", do: (*recipeCall).listPrescriptions},
			{name: "putFeedbackFlag", param: "updateFeedbackFlagParam", result: "updateFeedbackFlagResult", writes: true, do: (*recipeCall).putFlagByPrescriber},
			{name: "listFeedbacks", do: (*recipeCall).listFeedbacks},
			{name: "sendNotification", writes: true, do: (*recipeCall).sendNotification},
			{
				name: "putVisionForPrescriber", param: "putVisionParam", result: "putVisionResult", clear: recipeClearVision, writes: true,
				do: (*recipeCall).putVisionByPrescriber,
			},
			{name: "getValidationProperties", param: "validationPropertiesParam", result: "validationPropertiesResult", do: (*recipeCall).validationProperties},
		},
		recipeExecutor: {
			{name: "getPrescriptionForExecutor", result: "getPrescriptionForExecutorResultSealed", clear: recipeClearGet, do: (*recipeCall).getForExecutor},
			{name: "markAsDelivered", writes: true, do: (*recipeCall).deliver},
			{name: "markAsArchived", writes: true, do: (*recipeCall).archive},
			{name: "markAsUnDelivered", param: "markAsUndeliveredParam", result: "markAsUndeliveredResult", writes: true, do: (*recipeCall).undeliver},
			{name: "revokePrescription", writes: true, do: (*recipeCall).revokeByExecutor},
			{name: "createFeedback", writes: true, do: (*recipeCall).createFeedback},
			{name: "listNotifications", do: (*recipeCall).listNotifications},
			{name: "putRidsInProcess", writes: true, do: (*recipeCall).putInProcess},
			{name: "listRidsInProcess", do: (*recipeCall).listInProcess},
			{name: "listOpenPrescriptions", do: (*recipeCall).listOpenForExecutor},
			{name: "listRidsHistory", do: (*recipeCall).listHistoryForExecutor},
			{name: "listReservations", do: (*recipeCall).listReservations},
			{name: "listRelations", do: (*recipeCall).listRelationsByExecutor},
			{name: "getPrescriptionStatus", do: (*recipeCall).status},
		},
		recipePatient: {
			{name: "listOpenRids", do: (*recipeCall).listOpenRidsForPatient},
			{name: "listOpenPrescriptions", param: "listPatientPrescriptionsParam", result: "listPatientPrescriptionsResult", do: (*recipeCall).listForPatient},
			{name: "getPrescription", param: "getPrescriptionForPatientParam", result: "getPrescriptionForPatientResult", do: (*recipeCall).getForPatient},
			{name: "getPrescriptionStatus", do: (*recipeCall).statusForPatient},
			{name: "listRidsHistory", do: (*recipeCall).listHistoryForPatient},
			{name: "revokePrescription", writes: true, do: (*recipeCall).revokeByPatient},
			{name: "putFeedbackFlag", param: "updateFeedbackFlagParam", result: "updateFeedbackFlagResult", writes: true, do: (*recipeCall).putFlagByPatient},
			{name: "putVisionForPatient", param: "putVisionParam", result: "putVisionResult", writes: true, do: (*recipeCall).putVisionByPatient},
			{name: "getVision", do: (*recipeCall).getVision},
			{name: "createReservation", writes: true, do: (*recipeCall).createReservation},
			{name: "listRelations", do: (*recipeCall).listRelationsByPatient},
			{name: "createRelation", writes: true, do: (*recipeCall).createRelation},
			{name: "revokeRelation", writes: true, do: (*recipeCall).revokeRelation},
		},
	}
}
