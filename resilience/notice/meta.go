package notice

import "fmt"

// Severity says how a front end should show a message. It is ours, derived from the texts.
type Severity uint8

// The severities.
const (
	Info    Severity = iota // good to know, nothing changes for the person
	Warning                 // work goes on, with something to know or to do
	Stop                    // this does not go electronically now, or must not be done again
)

var severityNames = [...]string{"info", "warning", "stop"}

// String returns "info", "warning" or "stop".
func (s Severity) String() string { return word(severityNames[:], int(s), "severity") }

// MarshalText is String.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Action is what the text asks of the person, for front ends that offer a button or an icon. It
// is ours, derived from the texts.
type Action uint8

// The actions.
const (
	CarryOn          Action = iota // nothing: the software does the rest
	Wait                           // nothing can be done here; work is kept
	PlanAhead                      // do what needs the service before the planned work
	CheckNetwork                   // check modem or cable
	UsePassword                    // log in with the password of the eHealth certificate
	StayLoggedIn                   // keep working, do not log out
	SendUrgent                     // finish what must be sent before the session ends
	SetClock                       // correct the clock of this computer
	AskPatient                     // rely on what the patient states; in doubt public price and Annex 30
	UsePaper                       // make the paper form
	PaperIfStillDown               // make the paper form when the service is not back in time
	PrintProof                     // print the proof for the patient
	KeepProof                      // dispense on the paper proof and keep it
	CheckItem                      // look at the item the message speaks of
	PhoneIfUrgent                  // phone when it cannot wait
	DoNotResend                    // do not send it again
	CallHelpdesk                   // call the helpdesk with the reference
	RenewCertificate               // renew the eHealth certificate
)

var actionNames = [...]string{
	"carry-on", "wait", "plan-ahead", "check-network", "use-password", "stay-logged-in", "send-urgent", "set-clock", "ask-patient",
	"use-paper", "paper-if-still-down", "print-proof", "keep-proof", "check-item", "phone-if-urgent", "do-not-resend", "call-helpdesk",
	"renew-certificate",
}

// String returns the name of the action as in JSON, for example "use-paper".
func (a Action) String() string { return word(actionNames[:], int(a), "action") }

// MarshalText is String.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

func word(names []string, i int, what string) string {
	if i >= len(names) {
		return fmt.Sprintf("%s %d", what, i)
	}
	return names[i]
}

// Operation is what a failed call was about: some messages hold for questions only.
type Operation uint8

// The operations.
const (
	Read         Operation = iota // a question: it may be asked again
	Write                         // something sent that can wait in a queue
	Prescription                  // the creation of a prescription: never sent again by itself
)
