package telemetry

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"github.com/ehealth-continuity/ehealth/fault"
	"github.com/ehealth-continuity/ehealth/internal/redact"
	"github.com/ehealth-continuity/ehealth/resilience"
	"github.com/ehealth-continuity/ehealth/resilience/bcp"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

var update = flag.Bool("update", false, "write the tables of docs/observability.md")

const docFile = "../../docs/observability.md"

func lineDefs() []*lineDef {
	out := []*lineDef{lineDone, lineDegraded, lineCanceled, lineFailed, lineUnsafe}
	for _, names := range []struct {
		m     map[string]*lineDef
		order []string
	}{
		{breakerLines, []string{"open", "half-open", "closed", "forced open"}},
		{healthLines, []string{"ok", "slow", "degraded", "down"}},
		{sessionLines, []string{"renewed", "adopted", "renewal failed", "kept", "ends soon", "fallback used", "lost", "group refusal", "store failed", "unknown"}},
		{itemLines, []string{"ready", "unknown", "parked", "done", "rejected", "expired", "cancelled"}},
		{storedLines, []string{"not stored", "not read", "damaged", "not purged", "in use", "taken over", "unknown"}},
		{listLines, []string{"loaded", "installed", "refused", "unreachable", "reachable", "not stored", "ignored", "unknown"}},
	} {
		if len(names.order) != len(names.m) {
			panic("a line is missing in the order of the document")
		}
		for _, n := range names.order {
			out = append(out, names.m[n])
		}
	}
	return out
}

// tables are the generated parts of the document, by name.
func tables() map[string]string {
	all := map[string]string{}
	row := func(table string, cells ...string) {
		for i, c := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(c, "|", "\\|"))
		}
		all[table] += "| " + strings.Join(cells, " | ") + " |\n"
	}
	head := func(table string, cells ...string) {
		row(table, cells...)
		row(table, slices.Repeat([]string{"---"}, len(cells))...)
	}
	head("metrics", "metric", "instrument", "unit", "meaning", "attributes")
	for _, d := range metricDefs {
		row("metrics", "`"+d.Name+"`", d.Kind, "`"+d.Unit+"`", d.About, quoted(d.Keys))
	}
	head("attributes", "attribute", "type", "values", "meaning", "of")
	for _, d := range attributeDefs {
		row("attributes", "`"+string(d.Key)+"`", d.Type, d.Values, d.Meaning, strings.Join(homes(d.Key), ", "))
	}
	head("lines", "message", "level", "when", "keys")
	for _, l := range lineDefs() {
		row("lines", "`"+l.Msg+"`", l.Level.String(), l.About, quoted(l.Keys))
	}
	head("keys", "key", "type", "meaning")
	for _, k := range logKeyDefs {
		row("keys", "`"+k.Key+"`", k.Type, k.Meaning)
	}
	head("reasons", "reason", "what is wrong")
	for _, r := range listErrors {
		row("reasons", "`"+r.name+"`", r.err.Error())
	}
	return all
}

func quoted[T ~string](keys []T) string {
	var out []string
	for _, k := range keys {
		out = append(out, "`"+string(k)+"`")
	}
	return strings.Join(out, ", ")
}

// spanKeys and eventKeys are the attributes of the span and of its events.
var (
	spanKeys  = []attribute.Key{keyOp, keyService, keyClass, keyOutcome, keyError, keyCode, keyHost, keyPort, keyHedged, keyAttempts, keyTicket, keyNotice, keyRetryAfter}
	eventKeys = []attribute.Key{keyNumber, keyReason, keyHedged, keyAlternate, keyDuration, keyOutcome, keyError, keyCode, keyHost, keyPort, keyTicket, keyNotice, keyRetryAfter}
)

func homes(k attribute.Key) []string {
	var out []string
	if k == keyOverflow || slices.ContainsFunc(metricDefs, func(d *metricDef) bool { return slices.Contains(d.Keys, k) }) {
		out = append(out, "metrics")
	}
	if slices.Contains(spanKeys, k) {
		out = append(out, "span")
	}
	if slices.Contains(eventKeys, k) {
		out = append(out, "span event")
	}
	return out
}

// TestDocument: the tables of the document are those of the code, and nothing else in it looks
// like a name of ours without being one.
func TestDocument(t *testing.T) {
	doc, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	text := string(doc)
	for name, table := range tables() {
		from, to := "<!-- generated: "+name+" -->\n", "<!-- end -->"
		i := strings.Index(text, from)
		if i < 0 {
			t.Fatalf("no place for the table %q", name)
		}
		i += len(from)
		n := strings.Index(text[i:], to)
		if n < 0 {
			t.Fatalf("no end of the table %q", name)
		}
		if text[i:i+n] == table {
			continue
		}
		if *update {
			text = text[:i] + table + text[i+n:]
			continue
		}
		t.Errorf("table %q is not that of the code: run go test ./internal/telemetry -run Document -update", name)
	}
	if *update {
		if err := os.WriteFile(docFile, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, numbers := range []string{
		fmt.Sprintf("(%d names, %d hosts with port, %d codes, %d sets of attributes)", maxNames, maxHosts, maxCodes, maxSets),
		strings.ReplaceAll(strings.Trim(fmt.Sprint(boundaries), "[]"), " ", ", ") + " s.",
	} {
		if !strings.Contains(text, numbers) {
			t.Errorf("the document does not say %q", numbers)
		}
	}
	known := map[string]bool{eventAttempt: true, Scope: true}
	for _, d := range metricDefs {
		known[d.Name] = true
	}
	for _, d := range attributeDefs {
		known[string(d.Key)] = true
	}
	for i, part := range strings.Split(text, "`") {
		if i%2 == 1 && strings.HasPrefix(part, "ehealth.") && !known[part] {
			t.Errorf("the document has %q, the code has not", part)
		}
	}
}

func TestCatalogueIsSound(t *testing.T) {
	units := map[string]bool{"s": true, "1": true, "{call}": true, "{attempt}": true, "{probe}": true, "{token}": true, "{change}": true, "{event}": true, "{item}": true}
	seen := map[string]bool{}
	once := func(s string) {
		if s == "" || seen[s] {
			t.Errorf("%q stands twice or is empty", s)
		}
		seen[s] = true
	}
	defined := map[attribute.Key]bool{}
	for _, d := range attributeDefs {
		once(string(d.Key))
		defined[d.Key] = true
		if d.Type == "" || d.Meaning == "" || len(homes(d.Key)) == 0 {
			t.Errorf("%s: type, meaning or home is missing", d.Key)
		}
	}
	for _, d := range metricDefs {
		once(d.Name)
		if !strings.HasPrefix(d.Name, "ehealth.") || strings.ToLower(d.Name) != d.Name || !units[d.Unit] || d.About == "" {
			t.Errorf("%+v", *d)
		}
		for _, k := range d.Keys {
			if !defined[k] {
				t.Errorf("%s: attribute %s is not defined", d.Name, k)
			}
		}
	}
	keys := map[string]bool{}
	for _, k := range logKeyDefs {
		keys[k.Key] = true
		if redact.Sensitive(k.Key) {
			t.Errorf("values under %q would be masked", k.Key)
		}
	}
	used := map[string]bool{}
	for _, l := range lineDefs() {
		once(l.Msg)
		for _, k := range l.Keys {
			used[k] = true
		}
	}
	if !maps.Equal(keys, used) {
		t.Errorf("keys %v\nused %v", keys, used)
	}
}

// TestEverythingIsInTheCatalogue drives everything and compares what came out with the tables,
// in both directions.
func TestEverythingIsInTheCatalogue(t *testing.T) {
	r := newRig(t)
	everything(r)
	m := r.metrics()
	for _, d := range metricDefs {
		if len(m[d.Name]) == 0 {
			t.Errorf("%s: nothing was measured", d.Name)
		}
		want, got := map[string]bool{}, map[string]bool{}
		for _, k := range d.Keys {
			want[string(k)] = true
		}
		for _, p := range m[d.Name] {
			for k := range p.attrs {
				got[k] = true
			}
		}
		if !maps.Equal(want, got) {
			t.Errorf("%s: attributes %v, in the table %v", d.Name, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
		delete(m, d.Name)
	}
	if len(m) != 0 {
		t.Errorf("not in the table: %v", slices.Sorted(maps.Keys(m)))
	}
	got := map[string]map[string]bool{"span": {}, "event": {}}
	for _, s := range r.spans.GetSpans() {
		for k := range attrMap(s.Attributes) {
			got["span"][k] = true
		}
		for _, e := range s.Events {
			for k := range attrMap(e.Attributes) {
				got["event"][k] = true
			}
		}
	}
	for what, keys := range map[string][]attribute.Key{"span": spanKeys, "event": eventKeys} {
		for _, k := range keys {
			if !got[what][string(k)] {
				t.Errorf("%s: no %s", what, k)
			}
			delete(got[what], string(k))
		}
		if len(got[what]) != 0 {
			t.Errorf("%s: not in the table: %v", what, got[what])
		}
	}
	checkLines(t, r)
}

func checkLines(t *testing.T, r *rig) {
	t.Helper()
	seen := map[string]map[string]bool{}
	for _, l := range r.lines() {
		msg, _ := l["msg"].(string)
		if seen[msg] == nil {
			seen[msg] = map[string]bool{"level " + l["level"].(string): true} //nolint:forcetypeassert // slog writes a string
		}
		for k, v := range l {
			if k != "msg" && k != "level" && k != "time" {
				seen[msg][k] = true
			}
			if s, _ := v.(string); strings.Contains(s, "[masked]") || strings.Contains(s, "[token]") {
				t.Errorf("%s: %s was masked: %v", msg, k, v)
			}
		}
	}
	for _, d := range lineDefs() {
		got := seen[d.Msg]
		if got == nil || !got["level "+d.Level.String()] {
			t.Errorf("no line %q at %v: %v", d.Msg, d.Level, got)
			continue
		}
		delete(got, "level "+d.Level.String())
		for k := range got {
			if !slices.Contains(d.Keys, k) {
				t.Errorf("%q has %q, which is not in the table", d.Msg, k)
			}
		}
		delete(seen, d.Msg)
	}
	if len(seen) != 0 {
		t.Errorf("not in the table: %v", seen)
	}
	all := map[string]bool{}
	for _, l := range r.lines() {
		for k := range l {
			all[k] = true
		}
	}
	for _, k := range logKeyDefs {
		if !all[k.Key] {
			t.Errorf("no line has %q", k.Key)
		}
	}
}

// everything makes whatever can happen happen once.
func everything(r *rig) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	e := r.engine(resilience.Config{Policy: quick(), Functions: []resilience.Function{{Name: "insurability", Needs: []resilience.Need{{Service: testService}}}}})
	ctx := context.Background()
	retryLater := soa("SOA-02002")
	retryLater.Fault.RetryAfter, retryLater.Fault.Notice = time.Millisecond, "D-INS-UNKNOWN"
	useless := &fault.Error{Kind: fault.Denied, Outcome: fault.Rejected, Code: "SOA-01002", Ticket: testTicket, Notice: "D-AUTH-NONE", RetryAfter: time.Second}
	for _, s := range []send{answers(), answers(soa("SOA-02001")), answers(retryLater), answers(useless)} {
		_ = r.do(ctx, e, resilience.Call{Endpoints: bothAddresses}, s)
		_ = r.do(ctx, e, resilience.Call{Endpoints: bothAddresses[1:]}, s)
	}
	_ = r.do(ctx, e, resilience.Call{}, answers())
	ev := resilience.Event{Call: true, Op: "insurability.Check", Service: testService, Endpoint: "a.example.be:8443", Attempt: 1, Hedged: true, Why: resilience.WhyDone, Outcome: fault.Done}
	r.Observer()(ev)
	for _, k := range []fault.Kind{fault.Canceled, fault.Security, fault.Timeout} {
		ev.Kind, ev.Outcome, ev.Code, ev.Why = k, fault.Unknown, "SOA-00001", resilience.WhyBudget
		r.Observer()(ev)
	}
	for _, to := range []resilience.BreakerState{resilience.Open, resilience.HalfOpen, resilience.Closed, resilience.ForcedOpen} {
		r.Breaker()(resilience.Change{To: resilience.Snapshot{
			Service: testService, Endpoint: urlSecond, State: to, Until: at, Reason: "10 failures in a row", Failures: 10, LastErr: soa("SOA-02001").Error(),
		}})
	}
	for _, c := range []resilience.Condition{resilience.Down, resilience.Degraded, resilience.Slow, resilience.OK} {
		r.Health()(resilience.Status{Function: "insurability", Condition: c, With: "stored answers", Where: resilience.Partner, Service: testService, NextCheck: at, Notice: "D-DOWN"})
	}
	for name := range sessionLines {
		r.Session(SessionEvent{Kind: name, Until: at, Login: "eHealth certificate", Notice: "D-AUTH-USED", Cause: fault.Timeout})
	}
	for k := range bcp.EventKind(9) {
		e := bcp.Event{Kind: k, Source: bcp.FromNetwork, Service: testService}
		switch k {
		case bcp.Loaded, bcp.Installed:
			e.IssueInstant, e.Service = at, ""
			if k == bcp.Installed {
				e.Changes = []bcp.Change{{Service: testService, From: urlFirst, To: urlSecond}}
			}
		case bcp.Reachable:
			e.Service = ""
		case bcp.Refused, bcp.Unreachable, bcp.NotStored:
			e.Service, e.Err = "", fmt.Errorf("%w: because", bcp.ErrOlder)
		case bcp.Ignored:
			e.Err = bcp.ErrHost
		default:
			e.Service = ""
		}
		r.List(e)
	}
	for name := range storedLines {
		r.Stored(name, "in_use")
	}
	r.Answered(testService, "stored")
	for _, to := range outbox.States() {
		r.Item(outbox.Event{Kind: "recipe.archive", From: outbox.Sending, To: to, Reason: outbox.ReasonTries})
	}
	if _, err := r.Outbox(func() (outbox.Counts, error) {
		return outbox.Counts{By: map[outbox.Kind]map[outbox.State]int{"recipe.archive": {outbox.Parked: 1}}}, nil
	}); err != nil {
		panic(err)
	}
}

// TestSessionEventsOfSTS: the words are those that package sts prints.
func TestSessionEventsOfSTS(t *testing.T) {
	n := 0
	for k := sts.EventKind(1); k.String() != "unknown"; k++ {
		if n++; sessionLines[k.String()] == nil {
			t.Errorf("no line for %q", k)
		}
	}
	if n != len(sessionLines)-1 {
		t.Errorf("%d kinds of events, %d lines", n, len(sessionLines)-1)
	}
}

// TestListEventsOfBCP: every kind has a line, and every reason of package bcp a name.
func TestListEventsOfBCP(t *testing.T) {
	n := 0
	for k := bcp.Loaded; k.String() != "?"; k++ {
		if n++; listLines[k.String()] == nil {
			t.Errorf("no line for %q", k)
		}
	}
	if n != len(listLines)-1 {
		t.Errorf("%d kinds of events, %d lines", n, len(listLines)-1)
	}
	src, err := os.ReadFile("../../resilience/bcp/errors.go")
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), "errors.go", src, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := 0
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			for _, name := range v.Names {
				if strings.HasPrefix(name.Name, "Err") {
					declared++
				}
			}
		}
		return true
	})
	if declared != len(listErrors) || declared == 0 {
		t.Errorf("package bcp has %d reasons, %d have a name", declared, len(listErrors))
	}
	for _, r := range listErrors {
		if got := listError(fmt.Errorf("wrapped: %w", r.err)); got != r.name {
			t.Errorf("%v is called %q", r.err, got)
		}
	}
	if got := listError(fmt.Errorf("proxy of Jan Janssens")); got != other {
		t.Errorf("an unknown reason is called %q", got)
	}
}

// TestLogLevels: what is below the level of the logger costs no line, and nothing is written without a
// logger.
func TestLogLevels(t *testing.T) {
	var buf bytes.Buffer
	tel, err := New(Options{Logger: slog.New(redact.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelWarn})))})
	if err != nil {
		t.Fatal(err)
	}
	silent, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ok := resilience.Event{Call: true, Op: "x", Outcome: fault.Done}
	bad := resilience.Event{Call: true, Op: "y", Kind: fault.Timeout}
	for _, tt := range []*Telemetry{tel, silent} {
		tt.Observer()(ok)
		tt.Observer()(bad)
		tt.Observer()(resilience.Event{Op: "attempt", Kind: fault.Timeout})
	}
	if got := strings.Count(buf.String(), "\n"); got != 1 || !strings.Contains(buf.String(), "op=y") {
		t.Errorf("%q", buf.String())
	}
}
