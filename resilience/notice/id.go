package notice

// ID names one message, as in dossier 06 part D.
type ID string

// The messages, in the order of the dossier.
const (
	IDOK           ID = "D-OK"            // a service works again
	IDSlow         ID = "D-SLOW"          // a service is slow
	IDDown         ID = "D-DOWN"          // a service is down and the place of the fault is known
	IDNet          ID = "D-NET"           // the person's own network is down
	IDETA          ID = "D-ETA"           // eHealth gave a time of recovery
	IDNoETA        ID = "D-NOETA"         // no time of recovery was given
	IDPlan         ID = "D-PLAN"          // planned work
	IDAuthFallback ID = "D-AUTH-FALLBACK" // login with eID or itsme fails, the certificate would do
	IDAuthUsed     ID = "D-AUTH-USED"     // logged in with the certificate instead
	IDAuthKept     ID = "D-AUTH-KEPT"     // the login service is down, the session is still good
	IDAuthUntil    ID = "D-AUTH-UNTIL"    // 30 minutes before a session ends that cannot be renewed
	IDAuthNone     ID = "D-AUTH-NONE"     // no session possible
	IDAuthGroup    ID = "D-AUTH-GROUP"    // many users are refused at once
	IDClock        ID = "D-CLOCK"         // this computer's clock is wrong
	IDInsDirect    ID = "D-INS-DIRECT"    // insurability came over the second path
	IDInsCached    ID = "D-INS-CACHED"    // insurability from a stored answer, less than 30 days old
	IDInsUnknown   ID = "D-INS-UNKNOWN"   // no usable answer about insurability
	IDRxPaper      ID = "D-RX-PAPER"      // prescriber: not created
	IDRxPrint      ID = "D-RX-PRINT"      // prescriber: created in an unstable service
	IDRxProof      ID = "D-RX-PROOF"      // pharmacist: retrieval impossible
	IDRxLater      ID = "D-RX-LATER"      // pharmacist: archiving pending
	IDRxTwice      ID = "D-RX-TWICE"      // after recovery: already dispensed elsewhere
	IDMsgQueued    ID = "D-MSG-QUEUED"    // eHealthBox is down, messages wait
	IDMsgBad       ID = "D-MSG-BAD"       // one message cannot be opened
	IDUnsure       ID = "D-UNSURE"        // outcome unknown
	IDSureYes      ID = "D-SURE-YES"      // outcome found out: done
	IDSureNo       ID = "D-SURE-NO"       // outcome found out: not done
	IDAttToday     ID = "D-ATT-TODAY"     // attests wait and expire at midnight
	IDExpired      ID = "D-EXPIRED"       // an item expired unsent
	IDDrain        ID = "D-DRAIN"         // recovering, the queue empties
	IDWrong        ID = "D-WRONG"         // an answer to somebody else's question
	IDKey          ID = "D-KEY"           // a key or certificate does not do
	IDCertSoon     ID = "D-CERT-SOON"     // own certificate near its end
)
