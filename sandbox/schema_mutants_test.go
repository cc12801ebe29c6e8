package sandbox

import (
	"testing"

	"github.com/beevik/etree"
)

func read(t testing.TB, doc []byte) *etree.Document {
	t.Helper()
	d := etree.NewDocument()
	if err := d.ReadFromBytes(doc); err != nil {
		t.Fatal(err)
	}
	return d
}

// walk lists an element and those below it in document order.
func walk(e *etree.Element, list []*etree.Element) []*etree.Element {
	list = append(list, e)
	for _, c := range e.ChildElements() {
		list = walk(c, list)
	}
	return list
}

// change applies one mutation to the element with that number.
type change func(what string, i int, do func(e *etree.Element))

// mutateElement makes all mutations of one element.
func mutateElement(change change, i int, leaf bool) {
	change("as is", i, func(*etree.Element) {})
	for _, a := range attributes {
		change("@"+a[0]+"="+a[1], i, func(e *etree.Element) { e.CreateAttr(a[0], a[1]) })
	}
	for _, name := range []string{"c:Inss", "c:Nihii", "c:Name", "c:Value", "p:CommonInput", "c:Mutuality", "Plain", "c:SiteID", "c:Request"} {
		change("child "+name+" first", i, func(e *etree.Element) { e.InsertChildAt(0, etree.NewElement(name)) })
		change("child "+name+" last", i, func(e *etree.Element) { e.CreateElement(name) })
	}
	change("comment", i, func(e *etree.Element) { e.InsertChildAt(0, etree.NewComment("x")) })
	change("processing instruction", i, func(e *etree.Element) { e.InsertChildAt(0, etree.NewProcInst("x", "y")) })
	change("namespace declaration", i, func(e *etree.Element) { e.CreateAttr("xmlns:unused", "urn:unused") })
	change("prefix renamed", i, func(e *etree.Element) { e.CreateAttr("xmlns:q", e.NamespaceURI()); e.Space = "q" })
	change("other namespace", i, func(e *etree.Element) { e.CreateAttr("xmlns:q", "urn:q"); e.Space = "q" })
	change("no namespace", i, func(e *etree.Element) { e.Space = "" })
	change("swapped namespace", i, func(e *etree.Element) { e.Space = map[string]string{"p": "c", "c": "p"}[e.Space] })
	change("renamed", i, func(e *etree.Element) { e.Tag += "X" })
	change("lower case", i, func(e *etree.Element) { e.Tag = string(e.Tag[0]|0x20) + e.Tag[1:] })
	if leaf {
		for _, text := range texts {
			change("text "+text, i, func(e *etree.Element) { e.SetText(text) })
		}
		change("text as CDATA", i, func(e *etree.Element) { e.SetCData(e.Text()) })
		change("text around a comment", i, func(e *etree.Element) {
			text := e.Text()
			e.SetText(text[:len(text)/2])
			e.CreateComment("x")
			e.CreateText(text[len(text)/2:])
		})
	} else {
		change("text", i, func(e *etree.Element) { e.CreateText("x") })
		change("white space", i, func(e *etree.Element) { e.CreateText(" \t\n") })
		change("empty", i, func(e *etree.Element) { e.Child = nil })
	}
	if i > 0 {
		mutateAmongSiblings(change, i)
	}
}

// mutateAmongSiblings makes the mutations that need a parent.
func mutateAmongSiblings(change change, i int) {
	change("deleted", i, func(e *etree.Element) { e.Parent().RemoveChild(e) })
	change("twice", i, func(e *etree.Element) { e.Parent().InsertChildAt(e.Index(), e.Copy()) })
	change("three times", i, func(e *etree.Element) {
		e.Parent().InsertChildAt(e.Index(), e.Copy())
		e.Parent().InsertChildAt(e.Index(), e.Copy())
	})
	change("moved to the end", i, func(e *etree.Element) { e.Parent().AddChild(e) })
	change("moved to the front", i, func(e *etree.Element) { e.Parent().InsertChildAt(0, e) })
	change("moved up", i, func(e *etree.Element) {
		if up := e.Parent().Parent(); up.Tag != "" { // not the document
			up.AddChild(e)
		}
	})
	change("two of one id", i, func(e *etree.Element) {
		for _, s := range e.Parent().ChildElements() {
			s.CreateAttr("Id", "same")
		}
	})
	if i == 1 {
		change("extended information", i, func(e *etree.Element) {
			x := e.Parent().CreateElement("p:ExtendedInformation").CreateElement("saml2:Attribute")
			x.CreateAttr("Name", "n")
			x.CreateElement("saml2:AttributeValue").CreateElement("any").SetText("thing")
		})
		change("extended information without name", i, func(e *etree.Element) {
			e.Parent().CreateElement("p:ExtendedInformation").CreateElement("saml2:Attribute")
		})
		change("empty extended information", i, func(e *etree.Element) { e.Parent().CreateElement("p:ExtendedInformation") })
	}
}
