package sandbox

import (
	"cmp"
	"context"
	"slices"
	"strconv"

	"github.com/ehealth-continuity/ehealth/internal/xmltree"
)

// mailReadOperations are the operations of the consultation service. The history has another name in its message than in
// its action (dossier 03 section 2).
var mailReadOperations = func() []operation {
	var out []operation
	for message, action := range map[string]string{
		"GetBoxInfo": "getBoxInfo", "GetMessagesList": "getMessagesList", "GetAllEhboxesMessagesList": "getAllEhboxesMessagesList",
		"GetFullMessage": "getFullMessage", "MoveMessage": "moveMessage", "DeleteMessage": "deleteMessage",
		"GetHistory": "getMessageHistory", "GetMessageAcknowledgmentsStatus": "getMessageAcknowledgmentsStatus",
		"InsertOoO": "insertOoO", "DeleteOoO": "deleteOoO", "GetOoOList": "getOoOList",
	} {
		out = append(out, operation{qname{nsMailRead, message + "Request"}, []string{nsMailRead + ":" + action}})
	}
	return out
}()

// mailReadHandlers work with the state's lock held, but readMessage, which gives it back before it writes.
var mailReadHandlers = map[string]func(*mailCall, *mailState, *xmltree.Node) *response{
	"GetBoxInfoRequest":                      (*mailCall).boxInfo,
	"GetMessagesListRequest":                 (*mailCall).list,
	"GetAllEhboxesMessagesListRequest":       (*mailCall).listAll,
	"MoveMessageRequest":                     (*mailCall).move,
	"DeleteMessageRequest":                   (*mailCall).remove,
	"GetHistoryRequest":                      (*mailCall).history,
	"GetMessageAcknowledgmentsStatusRequest": (*mailCall).acknowledgments,
	"InsertOoORequest":                       (*mailCall).insertAbsence,
	"DeleteOoORequest":                       (*mailCall).deleteAbsences,
	"GetOoOListRequest":                      (*mailCall).listAbsences,
}

// consultMail is the consultation service (dossier 03 section 4).
func (v *services) consultMail(_ context.Context, s *Sandbox, rq *request) *response {
	x, _, rs := v.enterMail(s, rq, mailReadOperations)
	if rs != nil {
		return rs
	}
	st, n := &s.mail, x.m.Payload
	st.mu.Lock()
	st.settle(s, rq.At)
	for _, b := range x.caller.boxes {
		st.infect(s, b, rq.At)
	}
	if n.Local() == "GetFullMessageRequest" {
		e, poison := x.open(st, n)
		st.mu.Unlock()
		return x.readMessage(e, poison)
	}
	defer st.mu.Unlock()
	return mailReadHandlers[n.Local()](x, st, n)
}

func (x *mailCall) boxInfo(_ *mailState, _ *xmltree.Node) *response {
	w := x.writer(nsMailRead, "GetBoxInfoResponse", x.s.ticket())
	w.status("100")
	w.Start("", "BoxId")
	w.box(x.as)
	w.End()
	w.Leaf("", "NbrMessagesInStandBy", strconv.Itoa(len(x.box.standby)))
	w.Leaf("", "CurrentSize", strconv.FormatInt(x.box.size(), 10))
	w.Leaf("", "MaxSize", strconv.FormatInt(x.box.quota, 10))
	return x.answer(w, "")
}

// window reads StartIndex and EndIndex and says what is wrong with them.
func window(n *xmltree.Node) (first, last int, code string) {
	number := func(local string, absent int) int {
		v, err := strconv.Atoi(collapse(textOf(n.Child("", local))))
		if err != nil { // absent or empty: the schema was checked
			return absent
		}
		return v
	}
	first, last = number("StartIndex", 1), number("EndIndex", mailPage)
	switch {
	case last < first:
		return 0, 0, "807"
	case last-first+1 > mailPage:
		return 0, 0, "808"
	}
	return first, last, ""
}

// cut takes the rows of a window that exist.
func cut[T any](rows []T, first, last int) []T {
	if first > len(rows) {
		return nil
	}
	return rows[first-1 : min(last, len(rows))]
}

// folderOf reads Source, whose default is the inbox.
func folderOf(n *xmltree.Node) string { return cmp.Or(textOf(n.Child("", "Source")), folderIn) }

func (x *mailCall) list(st *mailState, n *xmltree.Node) *response {
	return x.rows(st, n, "GetMessagesListResponse", x.box.listed(folderOf(n)))
}

func (x *mailCall) listAll(st *mailState, n *xmltree.Node) *response {
	var all []*mailEntry
	for _, b := range x.caller.boxes {
		all = append(all, b.listed(folderOf(n))...)
	}
	slices.SortFunc(all, func(a, b *mailEntry) int { return cmp.Compare(b.seq, a.seq) })
	return x.rows(st, n, "GetAllEhboxesMessagesListResponse", all)
}

// rows answers with a window of a folder. Listing marks what it shows as received.
func (x *mailCall) rows(st *mailState, n *xmltree.Node, root string, all []*mailEntry) *response {
	first, last, code := window(n)
	if code != "" {
		return x.business(code)
	}
	w := x.writer(nsMailRead, root, x.s.ticket())
	w.status("100")
	w.Leaf("", "Source", folderOf(n))
	for _, e := range cut(all, first, last) {
		w.row(e)
		st.receive(e, x.rq.At)
	}
	return x.answer(w, "ehbox.list")
}

// open finds a message and marks it as read. The lock is held.
func (x *mailCall) open(st *mailState, n *xmltree.Node) (*mailEntry, int) {
	e := x.box.find(textOf(n.Child("", "MessageId")), folderOf(n))
	if e == nil {
		e = x.box.find(textOf(n.Child("", "MessageId")), folderHistory) // a former version of news
	}
	if e == nil {
		return nil, 0
	}
	if e.poison != poisonUnreadable {
		st.read(e, x.rq.At)
	}
	return e, e.poison
}

// readMessage answers GetFullMessage.
func (x *mailCall) readMessage(e *mailEntry, poison int) *response {
	switch {
	case e == nil:
		return x.business("806")
	case poison == poisonUnreadable:
		return x.v.fault(x.s, x.rq, refuse("SOA-00001", ""))
	}
	w := x.writer(nsMailRead, "GetFullMessageResponse", x.s.ticket())
	w.status("100")
	w.full(e.msg, poison)
	return x.answer(w, "ehbox.read")
}

// history lists the former versions of news.
func (x *mailCall) history(st *mailState, n *xmltree.Node) *response {
	e := x.box.find(textOf(n.Child("", "MessageId")), folderOf(n), folderHistory)
	if e == nil {
		return x.business("806")
	}
	w := x.writer(nsMailRead, "GetHistoryResponse", x.s.ticket())
	w.status("100")
	if newest := st.published[e.msg.publication]; e.msg.kind == mailNews && newest != nil {
		for _, id := range newest.older {
			w.Leaf("", "MessageId", id)
		}
	}
	return x.answer(w, "")
}

// mailMoves are the pairs of folders that a message can be moved between (dossier 03 4.6).
var mailMoves = map[[2]string]bool{
	{folderIn, folderBinIn}: true, {folderSent, folderBinSent}: true, {folderBinIn, folderIn}: true, {folderBinSent, folderSent}: true,
}

func (x *mailCall) move(_ *mailState, n *xmltree.Node) *response {
	from, to := textOf(n.Child("", "Source")), textOf(n.Child("", "Destination"))
	if !mailMoves[[2]string{from, to}] {
		return x.business("812")
	}
	return x.each(n, "MoveMessageResponse", "813", "ehbox.move", func(id string) bool {
		e := x.box.find(id, from)
		if e != nil {
			e.folder = to
		}
		return e != nil
	})
}

func (x *mailCall) remove(st *mailState, n *xmltree.Node) *response {
	from := textOf(n.Child("", "Source"))
	rs := x.each(n, "DeleteMessageResponse", "815", "ehbox.delete", func(id string) bool {
		e := x.box.find(id, from)
		if e != nil {
			x.box.entries = slices.DeleteFunc(x.box.entries, func(o *mailEntry) bool { return o == e })
			st.forget(e)
		}
		return e != nil
	})
	x.box.drain()
	return rs
}

// each does something with every MessageId and answers with those for which it failed.
func (x *mailCall) each(n *xmltree.Node, root, partial, effect string, do func(id string) bool) *response {
	var failed []string
	done := 0
	for c := range n.Elements() {
		if c.Local() != "MessageId" {
			continue
		}
		if id := textOf(c); do(id) {
			done++
		} else {
			failed = append(failed, id)
		}
	}
	if done == 0 {
		effect = ""
	}
	w := x.writer(nsMailRead, root, x.s.ticket())
	code := "100"
	if len(failed) > 0 {
		code = partial
	}
	w.status(code)
	for _, id := range failed {
		w.Leaf("", "MessageId", id)
	}
	return x.answer(w, effect)
}

// acknowledgments tells the sender what became of a message. Rows fill up whether receipts were asked for or not.
func (x *mailCall) acknowledgments(st *mailState, n *xmltree.Node) *response {
	t := st.messages[textOf(n.Child("", "MessageId"))]
	if t == nil || t.from != x.box {
		return x.business("809")
	}
	first, last, code := window(n)
	if code != "" {
		return x.business(code)
	}
	w := x.writer(nsMailRead, "GetMessageAcknowledgmentsStatusResponse", x.s.ticket())
	w.status("100")
	rows := cut(t.rows, first, last)
	if len(rows) > 0 {
		w.Start("", "AcknowledgmentsStatus")
	}
	for _, r := range rows {
		w.Start("", "Row")
		w.Start("", "Recipient")
		w.destination(r.recipient, false)
		w.End()
		w.Leaf("", "Published", mailInstant(r.published))
		if !r.received.IsZero() {
			w.Leaf("", "Received", mailInstant(r.received))
		}
		if !r.read.IsZero() {
			w.Leaf("", "Read", mailInstant(r.read))
		}
		w.End()
	}
	if len(rows) > 0 {
		w.End()
	}
	return x.answer(w, "")
}
