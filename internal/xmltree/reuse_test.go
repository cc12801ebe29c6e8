package xmltree

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// TestReuse: a parser that has read one document knows nothing of it when it reads the next one, and no tree changes by that.
func TestReuse(t *testing.T) {
	const first = `<p:a xmlns:p="u" xmlns="d" p:x="1" y="2"><b>t&amp;u</b><p:c xmlns:p="v" p:x="3"/><p:c/></p:a>`
	broken := []string{`<p:a xmlns:p="u" xmlns="d"><b><p:c `, `<a>&amp;x`, `<a xmlns:p="u"><b xmlns:p="w">` + strings.Repeat("<c>", 200), "\x00", ``}
	want := `(p{u}a ns p="u" ns ="d" p{u}x="1" {}y="2" ({d}b "t&u") (p{v}c ns p="v" p{v}x="3") (p{u}c))`
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 50 {
				tree, err := Parse([]byte(first), Limits{})
				if err != nil || dump(tree) != want {
					t.Errorf("%v", err)
					return
				}
				if _, err := Parse([]byte(broken[i%len(broken)]), Limits{Depth: 150}); err == nil {
					t.Error("a broken document was read")
				}
				if _, err := Parse([]byte(`<p:a/>`), Limits{}); err == nil {
					t.Error("a prefix of another document was known")
				}
				other, err := Parse([]byte(`<a x="1"><p:c xmlns:p="z"/></a>`), Limits{})
				if err != nil || dump(other) != `({}a {}x="1" (p{z}c ns p="z"))` {
					t.Errorf("%v", err)
				}
				if dump(tree) != want {
					t.Error("the first tree has changed")
				}
			}
		})
	}
	wg.Wait()
}

// TestForgotten: an idle parser holds nothing of a document, and a large document leaves none behind.
func TestForgotten(t *testing.T) {
	const secret = "janssens"
	p := newParser()
	p.s, p.lim = `<a xmlns:`+secret+`="`+secret+`" b="`+secret+`&amp;"><`+secret+`>`+secret+`&amp;</`+secret+`><open `+secret+`="`+secret+`">`, Limits{}.withDefaults()
	if _, err := p.document(); err == nil {
		t.Fatal("read")
	}
	if !p.rest() {
		t.Error("a small parser is not kept")
	}
	if len(p.open) != 0 || len(p.tag) != 0 || len(p.buf) != 0 || len(p.undo) != 0 || p.seen != nil {
		t.Error("it does not begin anew")
	}
	p.open, p.tag, p.buf, p.undo = p.open[:cap(p.open)], p.tag[:cap(p.tag)], p.buf[:cap(p.buf)], p.undo[:cap(p.undo)]
	for what, held := range map[string]any{
		"elements": p.open, "attributes": p.tag, "text": string(p.buf), "bindings": p.undo, "names": p.own, "tables": []any{p.raws, p.names, p.uris, p.bindings}, "rest": []any{p.s, p.fresh, p.nodes, p.attrs},
	} {
		if strings.Contains(fmt.Sprintf("%+v", held), secret) {
			t.Errorf("%s of it are kept", what)
		}
	}
	if p.interned() != 2 || len(p.bindings) != 2 || p.count != 0 || p.pos != 0 {
		t.Errorf("%d names, %d bindings, %d nodes, at %d", p.interned(), len(p.bindings), p.count, p.pos)
	}
	var b strings.Builder
	for i := range 2 * keptNames {
		fmt.Fprintf(&b, "<a%d/>", i)
	}
	large := newParser()
	large.s, large.lim = "<r>"+b.String()+"</r>", Limits{}.withDefaults()
	if _, err := large.document(); err != nil {
		t.Fatal(err)
	}
	if large.rest() {
		t.Error("a large parser is kept")
	}
}
