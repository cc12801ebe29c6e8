package sandbox

import (
	"testing"
	"time"

	"github.com/ehealth-continuity/ehealth/identity"
)

// TestAdminMail drives boxes and keys over the admin API.
func TestAdminMail(t *testing.T) {
	w := newMailWorld(t, mailAtOnce)
	c, base := w.s.HTTPClient(), w.s.AdminURL()
	call := func(want int, method, path, body string) map[string]any {
		t.Helper()
		status, out := admin(t, c, method, base+path, "application/json", body)
		if status != want {
			t.Errorf("%s %s: %d %v", method, path, status, out)
		}
		return out
	}
	call(201, "POST", "/admin/mail/doctor-1", `{"text":"négatif","patient":"85073199704"}`)
	call(201, "POST", "/admin/mail/doctor-1", `{"text":"plain","plain":true,"title":"T","from":"hospital-1"}`)
	out := call(200, "GET", "/admin/mail/doctor-1", "")
	list, _ := out["messages"].([]any)
	if len(list) != 2 || out["folder"] != folderIn || out["maxSize"] != float64(mailLimit) {
		t.Fatalf("%v", out)
	}
	if m, _ := list[1].(map[string]any); m["encrypted"] != true || m["title"] != "Result" || m["received"] != nil {
		t.Errorf("%v", list[1])
	}
	doctor := w.s.Person(identity.Doctor, 0)
	keys, err := doctor.Encryption()
	if err != nil {
		t.Fatal(err)
	}
	sealed := w.folder(doctor.Mailbox(), folderIn)[1]
	content, signer, err := w.s.unseal(sealed.Text, keys, time.Now())
	lab := w.must(w.s.Organisation(identity.Labo, 0).Authentication())
	if err != nil || string(content) != "négatif" || !signer.Equal(lab.Certificate) {
		t.Errorf("sealed by the laboratory: %v", err)
	}
	call(204, "PUT", "/admin/mail/doctor-1/quota", `{"maxSize":0}`)
	call(201, "POST", "/admin/mail/doctor-1", `{"text":"x","plain":true}`)
	if out := call(200, "GET", "/admin/mail/doctor-1?folder=SENTBOX", ""); out["standBy"] != 1.0 {
		t.Errorf("%v", out)
	}
	call(204, "POST", "/admin/keys/doctor-1", "")
	if now, err := doctor.Encryption(); err != nil || len(now) != len(keys)+1 {
		t.Errorf("%d keys, %v", len(now), err)
	}
	call(404, "GET", "/admin/mail/wizard-1", "")
	call(400, "GET", "/admin/mail/doctor-1?folder=X", "")
	call(400, "POST", "/admin/mail/doctor-1", `{"from":"wizard-1"}`)
	call(400, "POST", "/admin/mail/doctor-1", `{"unknown":1}`)
	call(400, "PUT", "/admin/mail/doctor-1/quota", `{}`)
}
