package sandbox

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// errNoHolder: the admin API names people and organisations as their key stores are named: "doctor-1", "labo-1".
var errNoHolder = errors.New("nobody of that name; use the name of the key store without .p12")

// mailHolder is somebody in the admin API.
type mailHolder struct {
	box Mailbox
	etk Holder
}

// named finds who has a key store of that name.
func (s *Sandbox) named(stem string) (mailHolder, bool) {
	for _, p := range s.people.people {
		if p.stem == stem {
			return mailHolder{p.Mailbox(), Holder{Type: identity.TypeSSIN, Number: p.SSIN.Reveal()}}, true
		}
	}
	for _, o := range s.people.organisations {
		if o.stem == stem {
			return mailHolder{o.Mailbox(), Holder{Type: o.Type, Number: o.Number}}, true
		}
	}
	return mailHolder{}, false
}

// adminMailRoutes adds the part of the admin API that is about mail; doc.go describes it.
func (s *Sandbox) adminMailRoutes(mux *http.ServeMux) {
	for pattern, do := range map[string]func(http.ResponseWriter, *http.Request, mailHolder) error{
		"GET /admin/mail/{who}":       s.adminMail,
		"POST /admin/mail/{who}":      s.adminDeliver,
		"PUT /admin/mail/{who}/quota": s.adminQuota,
		"POST /admin/keys/{who}":      s.adminRotate,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			h, ok := s.named(r.PathValue("who"))
			if !ok {
				adminFail(w, http.StatusNotFound, errNoHolder)
				return
			}
			if err := do(w, r, h); err != nil {
				adminFail(w, http.StatusBadRequest, err)
			}
		})
	}
}

// adminMessage is one message in JSON, without its content.
type adminMessage struct {
	ID            string `json:"id"`
	PublicationID string `json:"publicationId,omitempty"`
	Kind          string `json:"kind"`
	Code          string `json:"code,omitempty"`
	About         string `json:"about,omitempty"`
	Title         string `json:"title"`
	Encrypted     bool   `json:"encrypted"`
	Annexes       int    `json:"annexes"`
	Size          int64  `json:"size"`
	Published     string `json:"published"`
	Received      string `json:"received,omitempty"`
	Read          string `json:"read,omitempty"`
}

// adminMail is GET /admin/mail/{who}.
func (s *Sandbox) adminMail(w http.ResponseWriter, r *http.Request, h mailHolder) error {
	folder := r.URL.Query().Get("folder")
	switch folder {
	case "":
		folder = folderIn
	case folderIn, folderSent, folderBinIn, folderBinSent, folderHistory:
	default:
		return errors.New("folder: want INBOX, SENTBOX, BININBOX, BINSENTBOX or HISTORY")
	}
	list, err := s.Mail(h.box, folder)
	if err != nil {
		return err
	}
	st, err := s.MailboxState(h.box)
	if err != nil {
		return err
	}
	instant := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	}
	out := []adminMessage{}
	for _, m := range list {
		out = append(out, adminMessage{
			ID: m.ID, PublicationID: m.PublicationID, Kind: m.Kind, Code: m.Code, About: m.About, Title: m.Title, Encrypted: m.Encrypted,
			Annexes: len(m.Annexes), Size: m.Size, Published: instant(m.Published), Received: instant(m.Received), Read: instant(m.Read),
		})
	}
	adminWrite(w, http.StatusOK, map[string]any{
		"folder": folder, "size": st.Size, "maxSize": st.MaxSize, "standBy": st.StandBy, "messages": out,
	})
	return nil
}

// adminDeliver is POST /admin/mail/{who}.
func (s *Sandbox) adminDeliver(w http.ResponseWriter, r *http.Request, h mailHolder) error {
	in := struct {
		From    string `json:"from"`
		Title   string `json:"title"`
		Text    string `json:"text"`
		Patient string `json:"patient"`
		Plain   bool   `json:"plain"` // not sealed
	}{From: "labo-1", Title: "Result"}
	if err := adminRead(r, &in); err != nil {
		return err
	}
	from, ok := s.named(in.From)
	if !ok {
		return errNoHolder
	}
	d := MailDelivery{From: from.box, To: []Mailbox{h.box}, Title: in.Title, Encrypted: !in.Plain, Text: []byte(in.Text)}
	if in.Patient != "" {
		d.PatientINSS = []byte(in.Patient)
	}
	if d.Encrypted {
		for _, field := range []*[]byte{&d.Text, &d.PatientINSS} {
			if *field == nil {
				continue
			}
			sealed, err := s.Seal(*field, from.etk, h.etk, from.etk)
			if err != nil {
				return err
			}
			*field = sealed
		}
	}
	id, err := s.DeliverMail(d)
	if err != nil {
		return err
	}
	adminWrite(w, http.StatusCreated, map[string]any{"id": id})
	return nil
}

// adminQuota is PUT /admin/mail/{who}/quota.
func (s *Sandbox) adminQuota(w http.ResponseWriter, r *http.Request, h mailHolder) error {
	var in struct {
		MaxSize *int64 `json:"maxSize"`
	}
	if err := adminRead(r, &in); err != nil {
		return err
	}
	if in.MaxSize == nil || *in.MaxSize < 0 {
		return errors.New(`want {"maxSize":10485760}`)
	}
	if err := s.SetQuota(h.box, *in.MaxSize); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// adminRotate is POST /admin/keys/{who}.
func (s *Sandbox) adminRotate(w http.ResponseWriter, _ *http.Request, h mailHolder) error {
	if err := s.RotateKey(h.etk); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// adminRead reads a JSON body.
func adminRead(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errors.New("not the JSON that doc.go describes")
	}
	return nil
}
