package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// mailed is the answer of mailbox send.
type mailed struct {
	State, Reference, PublicationID, MessageID, ID string
	Before                                         bool
	Error                                          struct{ Kind, Outcome, Notice string }
	Notice                                         struct{ ID string }
}

// boxed is the answer of mailbox list.
type boxed struct {
	Folder, Receipts string
	MaxSize          int64
	Bad              int
	Notice           struct{ ID string }
	Messages         []struct {
		ID, Kind, Published, Title string
		From                       struct{ Type, Quality, Number, Name string }
		Encrypted, Bad             bool
	}
}

func boxOf(t *testing.T, role string, args ...string) (b boxed) {
	t.Helper()
	decode(t, as(t, role, append([]string{"mailbox", "list", "--json"}, args...)...), done, &b)
	return b
}

// recipient is the box of the first person of a role, whose name and quality are spelt alike.
func recipient(t *testing.T, role string) string {
	t.Helper()
	for _, p := range file(t).People {
		if p.Role == role {
			return "NIHII/" + p.Caller.NIHII + "/" + strings.ToUpper(role)
		}
	}
	t.Fatalf("no %s", role)
	return ""
}

// execute runs the command where names and numbers are asked for.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary, args...).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(out), err
}

// mailConfig is the sandbox's configuration with a data directory and mail.
func mailConfig(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	return rewritten(t, func(doc map[string]any) { doc["dataDir"], doc["mail"] = dir, map[string]any{} })
}

func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMailbox sends a letter, lists it and reads it; content goes where it was asked to and nowhere else.
func TestMailbox(t *testing.T) {
	config, text := mailConfig(t), "Dear colleague,\n"
	send := []string{
		"mailbox", "send", "--config", config, "--to", recipient(t, "logopedist"), "--title", "Referral", "--body", written(t, "body.txt", text),
		"--annex", written(t, "Jean Dupont.PDF", "%PDF"), "--reference", "visit-1", "--patient", insured, "--receipt", "read",
	}
	var first, again mailed
	decode(t, call(t, append(send, "--json")...), done, &first)
	if first.State != "accepted" || first.MessageID == "" || len(first.PublicationID) != 13 || first.Before {
		t.Fatalf("%+v", first)
	}
	decode(t, call(t, append(send, "--json")...), done, &again)
	if !again.Before || again.MessageID != first.MessageID {
		t.Errorf("given again: %+v", again)
	}
	var there boxed
	for len(there.Messages) == 0 { // the platform takes a second
		there = boxOf(t, "logopedist")
	}
	m := there.Messages[0]
	if len(there.Messages) != 1 || m.ID != first.MessageID || m.Kind != "DOCUMENT" || !m.Encrypted || m.Title != "" || m.From.Number != "" ||
		m.From.Quality != "DOCTOR" || there.Receipts != "RECEIVED" || there.MaxSize == 0 {
		t.Errorf("%+v", there)
	}
	r := as(t, "logopedist", "mailbox", "list")
	if r.code != done || !strings.Contains(r.out, m.ID+"  DOCUMENT") || !strings.Contains(r.out, "sealed,annexes  [private]") || strings.Contains(r.out, "Referral") ||
		r.err != "Senders who asked for it are told that these messages were received.\n" {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	dir := t.TempDir()
	body := filepath.Join(dir, "body")
	r = as(t, "logopedist", "mailbox", "read", m.ID, "--out", body, "--annexes", dir)
	if r.code != done || r.err != "" || strings.Contains(r.out, "colleague") || !strings.Contains(r.out, "signatures are good") || !strings.Contains(r.out, "is told that this message was read") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	for name, want := range map[string]string{body: text, filepath.Join(dir, m.ID+"-annex-1.pdf"): "%PDF"} {
		if b, err := os.ReadFile(name); err != nil || string(b) != want {
			t.Errorf("%s holds %q, %v", filepath.Base(name), b, err)
		}
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if r = as(t, "logopedist", "mailbox", "read", m.ID, "--print"); r.code != done || r.out != text || !strings.Contains(r.err, "signatures are good") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("%d files, %v", len(left), err)
	}
	// The sender finds the receipt that he asked for, and his copy.
	mine := boxOf(t, "")
	if n := len(mine.Messages); n == 0 || mine.Messages[0].Kind != "ACKNOWLEDGMENT" {
		t.Fatalf("%+v", mine)
	}
	if r = as(t, "", "mailbox", "read", mine.Messages[0].ID); r.code != done || !strings.Contains(r.out, "READ of "+first.MessageID) {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if sent := boxOf(t, "", "--folder", "SENTBOX"); len(sent.Messages) == 0 || sent.Receipts != "" {
		t.Errorf("%+v", sent)
	}
	if r = as(t, "", "mailbox", "read", first.MessageID, "--folder", "SENTBOX", "--print"); r.code != done || r.out != text {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// TestMailboxWaits: a letter that cannot be sent is kept, told and drained.
func TestMailboxWaits(t *testing.T) {
	config := mailConfig(t)
	send := []string{"mailbox", "send", "--config", config, "--to", recipient(t, "dentist"), "--body", written(t, "body.txt", "later"), "--reference", "kept"}
	shared.inject(t, "ehbox-pub 0 to_end fault code=SOA-02001")
	var m mailed
	r := call(t, append(send, "--json", "--lang", "nl")...)
	decode(t, r, unavailable, &m)
	if m.State != "queued" || m.ID == "" || m.Error.Outcome != "not sent" || m.Notice.ID != "D-MSG-QUEUED" || !strings.Contains(r.err, "\n1 bericht wacht") || !strings.HasPrefix(r.err, "The letter is kept. ") {
		t.Errorf("%+v\n%s", m, r.err)
	}
	shared.admin(t, http.MethodDelete, "/admin/faults", "")
	var d struct{ Done, Waiting, Others int }
	decode(t, call(t, "outbox", "retry", m.ID, "--config", config, "--json"), done, &struct{}{})
	decode(t, call(t, "outbox", "drain", "--at-once", "--for", "5m", "--config", config, "--json"), done, &d)
	if d.Done != 1 || d.Waiting != 0 || d.Others != 0 {
		t.Errorf("%+v", d)
	}
	decode(t, call(t, append(send, "--json")...), done, &m)
	if m.State != "accepted" || !m.Before {
		t.Errorf("%+v", m)
	}
}

// TestMailboxUnknown: sent, no answer, and nobody to ask.
func TestMailboxUnknown(t *testing.T) {
	shared.inject(t, "ehbox-pub 0 to_end lost_ack p=1\nehbox-cons 0 to_end fault code=SOA-02001")
	r := call(t, "mailbox", "send", "--config", mailConfig(t), "--to", recipient(t, "dentist"), "--body", written(t, "body.txt", "lost"))
	if r.code != unknown || !strings.Contains(r.out, "unknown") || !strings.Contains(r.err, "Do not send it again") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

// TestMailboxBad: a message that cannot be read is listed as such and hides no other; reading it is refused.
func TestMailboxBad(t *testing.T) {
	shared.admin(t, http.MethodPost, "/admin/mail/nurse-1", `{"from":"labo-1","title":"Result","text":"fine"}`)
	shared.inject(t, "ehbox-cons 0 to_end poison n=2")
	l := boxOf(t, "nurse")
	if len(l.Messages) != 3 {
		t.Fatalf("%+v", l)
	}
	codes := map[int]int{}
	for _, m := range l.Messages {
		r := as(t, "nurse", "mailbox", "read", m.ID, "--print")
		codes[r.code]++
		if r.code == done && r.out != "fine" || r.code == refused && (r.out != "" || !strings.Contains(r.err, "One message could not be opened")) {
			t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
		}
	}
	if codes[done] != 1 || codes[refused] != 2 {
		t.Errorf("exit codes %v", codes)
	}
}

// TestMailboxRefused: wrong usage, a platform that says no, and one that is away.
func TestMailboxRefused(t *testing.T) {
	config, body := mailConfig(t), written(t, "body.txt", "text")
	send := func(to string) []string {
		return []string{"mailbox", "send", "--config", config, "--to", to, "--body", body}
	}
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"no recipient":        {[]string{"mailbox", "send", "--config", config, "--body", body}, usage},
		"not a recipient":     {send("somebody"), usage},
		"wrong number":        {send("INSS/" + insured[:10] + "5/DOCTOR"), usage},
		"wrong type":          {send("PHONE/123/DOCTOR"), usage},
		"no quality":          {send("NIHII/70999941/"), usage},
		"nobody there":        {send("INSS/70010100188/DOCTOR"), refused},
		"wrong patient":       {append(send(recipient(t, "dentist")), "--patient", "123"), usage},
		"no place for it":     {[]string{"mailbox", "send", "--config", shared.ready.Config, "--to", recipient(t, "dentist"), "--body", body}, usage},
		"no such message":     {[]string{"mailbox", "read", "S999999999999", "--config", config}, refused},
		"not a message":       {[]string{"mailbox", "read", "12", "--config", config}, usage},
		"body twice":          {[]string{"mailbox", "read", "S999999999999", "--print", "--out", "x", "--config", config}, usage},
		"no such folder":      {[]string{"mailbox", "list", "--folder", "ATTIC", "--config", config}, usage},
		"a box of others":     {[]string{"mailbox", "list", "--box", recipient(t, "dentist"), "--config", config}, refused},
		"nothing to list":     {[]string{"mailbox", "list", "--max", "0", "--config", config}, usage},
		"a broken mail entry": {[]string{"mailbox", "list", "--config", rewritten(t, func(doc map[string]any) { doc["mail"] = map[string]any{"timeout": "soon"} })}, usage},
	} {
		t.Run(name, func(t *testing.T) {
			if r := call(t, c.args...); r.code != c.code || r.err == "" || r.out != "" {
				t.Errorf("exit code %d, %q, %q", r.code, r.out, r.err)
			}
		})
	}
}

// TestMailboxDown: eHealthBox does not answer, and the person is told so in every language, with the time of day.
func TestMailboxDown(t *testing.T) {
	shared.inject(t, "ehbox-cons 0 to_end fault code=SOA-02001")
	config := mailConfig(t)
	var f struct {
		failure
		Notice struct{ ID string }
	}
	decode(t, call(t, "mailbox", "list", "--config", config, "--json"), unavailable, &f)
	if f.Error.Code != "SOA-02001" || f.Notice.ID != "D-DOWN" {
		t.Errorf("%+v", f)
	}
	texts := map[string]string{
		"en": "eHealthBox has not answered since (..:..). The fault is not on your computer.", "fr": "eHealthBox ne répond plus depuis (..:..). Le problème ne vient pas de votre ordinateur.",
		"nl": "eHealthBox antwoordt niet meer sinds (..:..). De fout ligt niet aan uw computer.", "de": "eHealthBox antwortet seit (..:..) nicht mehr. Der Fehler liegt nicht an Ihrem Computer.",
	}
	began := time.Now()
	for lang, text := range texts {
		args := []string{"mailbox", "list"}
		if lang == "de" {
			args = []string{"mailbox", "read", "S999999999999"}
		}
		r := call(t, append(args, "--config", config, "--lang", lang)...)
		said := regexp.MustCompile("(?m)^" + text + "$").FindStringSubmatch(r.err)
		if r.code != unavailable || r.out != "" || len(said) != 2 {
			t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
			continue
		}
		zone, err := time.LoadLocation("Europe/Brussels")
		if err != nil {
			t.Fatal(err)
		}
		if now := time.Now().In(zone); said[1] != now.Format("15:04") && said[1] != began.In(zone).Format("15:04") {
			t.Errorf("since %s, and it is %s", said[1], now.Format("15:04"))
		}
	}
}

// TestMailboxReveals: what is private is shown when asked for.
func TestMailboxReveals(t *testing.T) {
	shared.admin(t, http.MethodPost, "/admin/mail/midwife-1", `{"from":"labo-1","title":"Result \u009b2J","text":"fine","plain":true}`)
	cmd := []string{"mailbox", "list", "--reveal", "--json", "--as", "midwife", "--config", shared.ready.Config}
	out, err := execute(t, cmd...)
	var l boxed
	if err != nil || json.Unmarshal([]byte(out), &l) != nil || len(l.Messages) != 1 || !strings.HasPrefix(l.Messages[0].Title, "Result") || l.Messages[0].From.Number == "" {
		t.Fatalf("%+v, %v", l, err)
	}
	if out, err = execute(t, append(cmd[:3:3], cmd[4:]...)...); err != nil || strings.Contains(out, "\u009b") || !strings.Contains(out, "Result ?2J") {
		t.Errorf("%q, %v", out, err)
	}
}
