package notice

import (
	"encoding/json"
	"fmt"
	"time"
)

// wire is the JSON form of a notice.
type wire struct {
	ID       ID         `json:"id"`
	Severity Severity   `json:"severity"`
	Action   Action     `json:"action"`
	Params   wireParams `json:"params"`
	Texts    wireTexts  `json:"texts"`
}

// wireParams holds what the message shows and nothing else: absent means not used.
type wireParams struct {
	Service      *Service `json:"service,omitempty"`
	Time         string   `json:"time,omitempty"` // RFC 3339
	Date         string   `json:"date,omitempty"` // 2018-08-09, in Belgium
	N            *int     `json:"n,omitempty"`
	Seconds      int64    `json:"seconds,omitempty"` // D-DRAIN
	Prescription string   `json:"prescription,omitempty"`
	Ticket       string   `json:"ticket,omitempty"`
	Guaranteed   bool     `json:"guaranteed,omitempty"`
	MaybeSent    bool     `json:"maybe_sent,omitempty"`
}

type wireTexts struct {
	EN string `json:"en"`
	FR string `json:"fr"`
	NL string `json:"nl"`
	DE string `json:"de"`
}

// MarshalJSON writes the id, severity ("info", "warning", "stop"), action, the parameters in use
// and the four texts:
//
//	{"id":"D-DOWN","severity":"stop","action":"wait",
//	 "params":{"service":"recip-e","time":"2018-06-12T09:30:00+02:00"},
//	 "texts":{"en":"...","fr":"...","nl":"...","de":"..."}}
//
// The zero Notice is null.
func (n Notice) MarshalJSON() ([]byte, error) {
	e := find(n.id)
	if e == nil {
		return []byte("null"), nil
	}
	w := wire{
		ID: n.id, Severity: e.severity, Action: e.action,
		Params: wireParams{
			Seconds: int64(n.p.Duration / time.Second), Prescription: n.p.Prescription, Ticket: n.p.Ticket,
			Guaranteed: n.p.Guaranteed, MaybeSent: n.p.MaybeSent,
		},
		Texts: wireTexts{EN: n.Text(EN), FR: n.Text(FR), NL: n.Text(NL), DE: n.Text(DE)},
	}
	if e.asks("{svc}") {
		w.Params.Service = &n.p.Service
	}
	if e.asks("{n}") {
		w.Params.N = &n.p.N
	}
	if !n.p.Time.IsZero() {
		w.Params.Time = n.p.Time.Format(time.RFC3339)
	}
	if !n.p.Date.IsZero() {
		w.Params.Date = n.p.Date.Format(time.DateOnly)
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads id and parameters and ignores the rest, texts included: they are made
// anew. It returns the errors of New; null is the zero Notice.
func (n *Notice) UnmarshalJSON(data []byte) error {
	if string(data) == "null" {
		*n = Notice{}
		return nil
	}
	var w struct {
		ID     ID         `json:"id"`
		Params wireParams `json:"params"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		return fmt.Errorf("notice: %w", err)
	}
	p, err := w.Params.params()
	if err != nil {
		return err
	}
	made, err := New(w.ID, p)
	if err != nil {
		return err
	}
	*n = made
	return nil
}

// maxSeconds bounds the duration of D-DRAIN to what time.Duration can hold.
const maxSeconds = int64((1<<63 - 1) / time.Second)

func (w wireParams) params() (Params, error) {
	p := Params{Prescription: w.Prescription, Ticket: w.Ticket, Guaranteed: w.Guaranteed, MaybeSent: w.MaybeSent}
	if w.Service != nil {
		p.Service = *w.Service
	}
	if w.N != nil {
		p.N = *w.N
	}
	if w.Seconds < 0 || w.Seconds > maxSeconds {
		return p, fmt.Errorf("%w: seconds", ErrParam)
	}
	p.Duration = time.Duration(w.Seconds) * time.Second
	var err error
	if w.Time != "" {
		if p.Time, err = time.Parse(time.RFC3339, w.Time); err != nil {
			return p, fmt.Errorf("%w: time", ErrParam)
		}
	}
	if w.Date != "" {
		if p.Date, err = time.ParseInLocation(time.DateOnly, w.Date, brussels); err != nil {
			return p, fmt.Errorf("%w: date", ErrParam)
		}
	}
	return p, nil
}
