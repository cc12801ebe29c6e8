package protocol

import (
	"strings"

	"github.com/ehealth-continuity/ehealth/identity"
)

// Notification is what a prescriber writes to a pharmacy. It travels compressed and sealed for the pharmacy.
type Notification struct {
	Text identity.Private
	// KMEHRMessage is an element kmehrmessage in no namespace whose children are those of KMEHR, verbatim; nil is none.
	KMEHRMessage []byte
}

// Encode writes the document (dossier 04 section 9.5).
func (m *Notification) Encode() ([]byte, error) {
	if m.KMEHRMessage != nil {
		n, err := parse(m.KMEHRMessage)
		if err != nil || !n.Is("", kmehrMessage) {
			return nil, &MessageError{Path: "notification/" + kmehrMessage, Reason: "not that element in no namespace"}
		}
	}
	return writeRoot(&codec{}, "n", nsContent, "notification", func(c *codec) {
		c.private("text", &m.Text, optional)
		if m.KMEHRMessage != nil {
			c.w.Raw(m.KMEHRMessage)
		}
	})
}

const kmehrMessage = "kmehrmessage"

// DecodeNotification reads the document. KMEHRMessage is as received; a prefix declared above it is not declared in it.
func DecodeNotification(doc []byte) (*Notification, Deviations, error) {
	n, err := parse(doc)
	if err != nil {
		return nil, Deviations{}, err
	}
	m := new(Notification)
	dev, err := readRoot(n, []string{"notification"}, func(c *codec) {
		c.private("text", &m.Text, optional)
		if e := c.find(kmehrMessage, optional); e != nil {
			m.KMEHRMessage = []byte(string(e.Source()))
		}
	})
	return m, dev, err
}

// Feedback is what a pharmacy writes to a prescriber. It travels compressed and sealed for the prescriber.
type Feedback struct{ Text identity.Private }

// Encode writes the document.
func (m *Feedback) Encode() ([]byte, error) {
	return writeRoot(&codec{}, "f", nsContent, "feedback", m.wire)
}

func (m *Feedback) wire(c *codec) { c.private("text", &m.Text, wanted) }

// DecodeFeedback reads the document.
func DecodeFeedback(doc []byte) (*Feedback, Deviations, error) {
	n, err := parse(doc)
	if err != nil {
		return nil, Deviations{}, err
	}
	m := new(Feedback)
	dev, err := readRoot(n, []string{"feedback"}, m.wire)
	return m, dev, err
}

// xmlStart tells whether a document looks like XML.
func xmlStart(b []byte) bool {
	return strings.HasPrefix(strings.TrimLeft(strings.TrimPrefix(string(b[:min(len(b), 64)]), "\ufeff"), " \t\r\n"), "<")
}
