package xmltree

import "strings"

// xmlDecl reads the XML declaration, when there is one: version 1.0, then
// encoding (UTF-8 in any case), then standalone, in this order.
func (p *parser) xmlDecl() *SyntaxError {
	const open = "<?xml"
	if !p.at(open) || len(p.s) == p.pos+len(open) || class[p.s[p.pos+len(open)]]&cSpace == 0 {
		return nil
	}
	p.pos += len(open)
	version, ok, err := p.pseudoAttr("version")
	switch {
	case err != nil:
		return err
	case !ok:
		return p.syntax("version expected in the XML declaration")
	case version != "1.0":
		return p.syntax("only XML version 1.0 is accepted")
	}
	encoding, ok, err := p.pseudoAttr("encoding")
	if err != nil {
		return err
	}
	if ok && !strings.EqualFold(encoding, "UTF-8") {
		return p.syntax("only encoding UTF-8 is accepted")
	}
	standalone, ok, err := p.pseudoAttr("standalone")
	if err != nil {
		return err
	}
	if ok && standalone != "yes" && standalone != "no" {
		return p.syntax("standalone must be yes or no")
	}
	p.space()
	if !p.at("?>") {
		return p.syntax("malformed XML declaration")
	}
	p.pos += len("?>")
	return nil
}

// pseudoAttr reads S name Eq value when name comes next.
func (p *parser) pseudoAttr(name string) (value string, ok bool, err *SyntaxError) {
	start := p.pos
	if !p.space() || !p.at(name) {
		p.pos = start
		return "", false, nil
	}
	p.pos += len(name)
	if err := p.equals(); err != nil {
		return "", false, err
	}
	if !p.at(`"`) && !p.at("'") {
		return "", false, p.syntax("quoted value expected in the XML declaration")
	}
	rest := p.s[p.pos+1:]
	end := strings.IndexByte(rest, p.s[p.pos])
	if end < 0 {
		return "", false, p.syntax("malformed XML declaration")
	}
	p.pos += 1 + end + 1
	return rest[:end], true, nil
}
