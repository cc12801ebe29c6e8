package protocol

// The results in this file hold nothing but their status.

// RevokePrescriptionResult says whether the prescription was taken back; all roles.
type RevokePrescriptionResult struct{ ResponseType }

func (*RevokePrescriptionResult) root(Role) string  { return "revokePrescriptionResult" }
func (r *RevokePrescriptionResult) roots() []string { return []string{r.root(0)} }
func (r *RevokePrescriptionResult) wire(c *codec)   { r.wireResponse(c) }

// UpdateFeedbackFlagResult answers UpdateFeedbackFlagParam; prescribers and patients.
type UpdateFeedbackFlagResult struct{ ResponseType }

func (*UpdateFeedbackFlagResult) root(r Role) string {
	return unless(r == Executor, "updateFeedbackFlagResult")
}
func (r *UpdateFeedbackFlagResult) roots() []string { return []string{r.root(0)} }
func (r *UpdateFeedbackFlagResult) wire(c *codec)   { r.wireResponse(c) }

// PutVisionResult answers PutVisionParam; prescribers and patients.
type PutVisionResult struct{ ResponseType }

func (*PutVisionResult) root(r Role) string { return unless(r == Executor, "putVisionResult") }
func (r *PutVisionResult) roots() []string  { return []string{r.root(0)} }
func (r *PutVisionResult) wire(c *codec)    { r.wireResponse(c) }

// SendNotificationResult answers SendNotificationParam; prescribers.
type SendNotificationResult struct{ ResponseType }

func (*SendNotificationResult) root(r Role) string {
	return unless(r == Executor || r == Patient, "sendNotificationResult")
}
func (r *SendNotificationResult) roots() []string { return []string{r.root(0)} }
func (r *SendNotificationResult) wire(c *codec)   { r.wireResponse(c) }

// MarkAsDeliveredResult answers MarkAsDeliveredParam; executors.
type MarkAsDeliveredResult struct{ ResponseType }

func (*MarkAsDeliveredResult) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "markAsDeliveredResult")
}
func (r *MarkAsDeliveredResult) roots() []string { return []string{r.root(0)} }
func (r *MarkAsDeliveredResult) wire(c *codec)   { r.wireResponse(c) }

// MarkAsArchivedResult answers MarkAsArchivedParam; executors.
type MarkAsArchivedResult struct{ ResponseType }

func (*MarkAsArchivedResult) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "markAsArchivedResult")
}
func (r *MarkAsArchivedResult) roots() []string { return []string{r.root(0)} }
func (r *MarkAsArchivedResult) wire(c *codec)   { r.wireResponse(c) }

// MarkAsUndeliveredResult answers MarkAsUndeliveredParam; executors.
type MarkAsUndeliveredResult struct{ ResponseType }

func (*MarkAsUndeliveredResult) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "markAsUndeliveredResult")
}
func (r *MarkAsUndeliveredResult) roots() []string { return []string{r.root(0)} }
func (r *MarkAsUndeliveredResult) wire(c *codec)   { r.wireResponse(c) }

// CreateFeedbackResult answers CreateFeedbackParam; executors.
type CreateFeedbackResult struct{ ResponseType }

func (*CreateFeedbackResult) root(r Role) string {
	return unless(r == Prescriber || r == Patient, "createFeedbackResult")
}
func (r *CreateFeedbackResult) roots() []string { return []string{r.root(0)} }
func (r *CreateFeedbackResult) wire(c *codec)   { r.wireResponse(c) }

// CreateReservationResult answers CreateReservationParam; patients.
type CreateReservationResult struct{ ResponseType }

func (*CreateReservationResult) root(r Role) string {
	return unless(r == Prescriber || r == Executor, "createReservationResult")
}
func (r *CreateReservationResult) roots() []string { return []string{r.root(0)} }
func (r *CreateReservationResult) wire(c *codec)   { r.wireResponse(c) }

// CreateRelationResult answers CreateRelationParam; patients.
type CreateRelationResult struct{ ResponseType }

func (*CreateRelationResult) root(r Role) string {
	return unless(r == Prescriber || r == Executor, "createRelationResult")
}
func (r *CreateRelationResult) roots() []string { return []string{r.root(0)} }
func (r *CreateRelationResult) wire(c *codec)   { r.wireResponse(c) }

// RevokeRelationResult answers RevokeRelationParam; patients.
type RevokeRelationResult struct{ ResponseType }

func (*RevokeRelationResult) root(r Role) string {
	return unless(r == Prescriber || r == Executor, "revokeRelationResult")
}
func (r *RevokeRelationResult) roots() []string { return []string{r.root(0)} }
func (r *RevokeRelationResult) wire(c *codec)   { r.wireResponse(c) }
