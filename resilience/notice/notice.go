package notice

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Errors of [New] and UnmarshalJSON, for errors.Is.
var (
	ErrUnknownID = errors.New("notice: no such message")
	ErrParam     = errors.New("notice: parameter missing or without sense")
)

// Params are the values a message shows. Each message uses those its text asks for; New drops
// the others, but keeps Ticket, which any message may carry in small print.
type Params struct {
	Service      Service       // {svc}; the zero value is the platform as a whole
	Time         time.Time     // {t}, shown in Belgian time; to the second
	Date         time.Time     // {d}, an instant of the day meant, shown as the day in Belgium
	N            int           // {n}
	Duration     time.Duration // {t} of D-DRAIN, shown in minutes, rounded up
	Prescription string        // {id} of D-RX-TWICE
	Ticket       string        // {id} of D-KEY, and small print of all others; "" = none
	Guaranteed   bool          // D-INS-CACHED: the profession's procedure gives a payment guarantee and the stored answer was positive
	MaybeSent    bool          // D-KEY: not certain that nothing was sent
}

// Notice is one message with its parameters. The zero value is no message: its Text is "".
// Notices are comparable.
type Notice struct {
	id ID
	p  Params
}

// New makes a notice from an id and its parameters. It returns ErrUnknownID, or ErrParam when the
// text asks for a moment that is zero (but for D-DOWN, where it means not known), a number that makes no sense (below 1; 0 is allowed for
// D-INS-CACHED, and for D-CLOCK, where it means not known), an unknown service, or the number of
// a prescription that is missing.
func New(id ID, p Params) (Notice, error) {
	e := find(id)
	if e == nil {
		return Notice{}, ErrUnknownID
	}
	n := clean(e, p)
	if missing := n.missing(e); missing != "" {
		return Notice{}, fmt.Errorf("%w: %s needs %s", ErrParam, id, missing)
	}
	return n, nil
}

// of makes a notice from parameters that the signature of its function guarantees.
func of(id ID, p Params) Notice {
	n := clean(find(id), p)
	n.p.N = max(n.p.N, 0)
	if id == IDDrain {
		n.p.Duration = max(n.p.Duration, time.Second)
	}
	return n
}

// asks tells whether the text of a row has a placeholder.
func (e *entry) asks(placeholder string) bool { return strings.Contains(e.texts[0], placeholder) }

// clean keeps what the text shows, in one form, so that equal notices are equal with ==.
func clean(e *entry, p Params) Notice {
	n := Notice{id: e.id, p: Params{Ticket: reference(p.Ticket)}}
	if e.asks("{svc}") {
		n.p.Service = p.Service
	}
	if e.asks("{t}") && e.id != IDDrain && !p.Time.IsZero() {
		n.p.Time = p.Time.In(brussels).Truncate(time.Second)
	}
	if e.asks("{d}") && !p.Date.IsZero() {
		y, m, d := p.Date.In(brussels).Date()
		n.p.Date = time.Date(y, m, d, 12, 0, 0, 0, brussels) // noon exists on every day
	}
	if e.asks("{n}") {
		n.p.N = p.N
	}
	switch e.id {
	case IDDrain:
		n.p.Duration = seconds(p.Duration)
	case IDRxTwice:
		n.p.Prescription = reference(p.Prescription)
	case IDInsCached:
		n.p.Guaranteed = p.Guaranteed
	case IDKey:
		n.p.MaybeSent = p.MaybeSent
	}
	return n
}

// seconds rounds up to whole seconds, which is what the JSON form holds.
func seconds(d time.Duration) time.Duration {
	if rest := d % time.Second; rest > 0 && d < 1<<62 {
		d += time.Second - rest
	}
	return d.Truncate(time.Second)
}

// missing names the first parameter that will not do.
func (n Notice) missing(e *entry) string {
	least := 1
	if e.id == IDInsCached || e.id == IDClock {
		least = 0
	}
	switch p := n.p; {
	case int(p.Service) >= len(names):
		return "Service"
	case e.id == IDDrain && p.Duration <= 0:
		return "Duration"
	case e.asks("{t}") && e.id != IDDrain && e.id != IDDown && p.Time.IsZero(): // what an outbox remembers of a failure has no time
		return "Time"
	case e.asks("{d}") && e.id != IDRxTwice && p.Date.IsZero(): // Recip-e does not say on which day it was
		return "Date"
	case e.asks("{n}") && p.N < least:
		return "N"
	case e.id == IDRxTwice && p.Prescription == "":
		return "Prescription"
	}
	return ""
}

// maxReference bounds a reference that came from outside.
const maxReference = 64

// reference keeps what looks like a ticket or a number of a prescription; anything else that a
// server put in its place is dropped whole.
func reference(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxReference {
		return ""
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte("-_.:/+#", c) >= 0:
		default:
			return ""
		}
	}
	return s
}

var byID = func() map[ID]*entry {
	m := make(map[ID]*entry, len(table))
	for i := range table {
		m[table[i].id] = &table[i]
	}
	return m
}()

func find(id ID) *entry { return byID[id] }

// IDs returns the ids of all messages in the order of the dossier.
func IDs() []ID {
	all := make([]ID, len(table))
	for i := range table {
		all[i] = table[i].id
	}
	return all
}

// Template returns the text of a message with its placeholders, letter by letter as in dossier
// 06 part D; "" when there is no such message.
func Template(id ID, lang Lang) string {
	if e := find(id); e != nil {
		return e.texts[lang.index()]
	}
	return ""
}

// ID returns which message it is, "" for the zero Notice.
func (n Notice) ID() ID { return n.id }

// IsZero reports whether there is nothing to tell.
func (n Notice) IsZero() bool { return n.id == "" }

// Params returns the values the message shows.
func (n Notice) Params() Params { return n.p }

// Severity says how to show the message; Info for the zero Notice.
func (n Notice) Severity() Severity {
	if e := find(n.id); e != nil {
		return e.severity
	}
	return Info
}

// Action returns what the text asks of the person; CarryOn for the zero Notice.
func (n Notice) Action() Action {
	if e := find(n.id); e != nil {
		return e.action
	}
	return CarryOn
}

// Text returns the message in a language; see [Lang] for what is accepted. It is one line.
func (n Notice) Text(lang Lang) string {
	e := find(n.id)
	if e == nil {
		return ""
	}
	l := lang.index()
	text := e.texts[l]
	for _, v := range n.variants(l) {
		text = v.apply(text, l)
	}
	if rest, ok := strings.CutPrefix(text, "{svc}"); ok {
		text = n.p.Service.opening(l) + rest
	}
	moment, id := clock(n.p.Time), n.p.Ticket
	switch n.id {
	case IDDrain:
		moment = duration(n.p.Duration)
	case IDRxTwice:
		id = n.p.Prescription
	}
	return strings.NewReplacer(
		"{svc}", n.p.Service.name(l), "{t}", moment, "{d}", date(n.p.Date, l), "{n}", strconv.Itoa(n.p.N), "{id}", id,
	).Replace(text)
}

// SmallPrint returns the platform's ticket for the failure, "Ref. ..." in the language, to be
// shown below the text: the service desk asks for it. It is "" when there is none, and for
// D-KEY, whose text holds it.
func (n Notice) SmallPrint(lang Lang) string {
	switch {
	case n.p.Ticket == "" || n.id == IDKey:
		return ""
	case lang.index() == FR.index():
		return "Réf. " + n.p.Ticket
	}
	return "Ref. " + n.p.Ticket
}

// For returns the message that holds for the operation: "we ask again" (D-WRONG) is true of
// questions only, and for anything sent becomes D-UNSURE; "sent again now" (D-SURE-NO) is not
// true of prescriptions, and becomes D-RX-PAPER. All others stay as they are.
func (n Notice) For(op Operation) Notice {
	ticket := Params{Ticket: n.p.Ticket}
	switch {
	case n.id == IDWrong && op != Read:
		return of(IDUnsure, ticket)
	case n.id == IDSureNo && op == Prescription:
		return of(IDRxPaper, ticket)
	}
	return n
}

// String returns the id: parameters may lead to a person.
func (n Notice) String() string { return string(n.id) }

// GoString returns the id too.
func (n Notice) GoString() string { return "notice.Notice{" + string(n.id) + "}" }

// LogValue returns the id too.
func (n Notice) LogValue() slog.Value { return slog.StringValue(string(n.id)) }
