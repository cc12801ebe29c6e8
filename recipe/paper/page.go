package paper

import (
	"bytes"
	"strconv"

	"codeberg.org/go-pdf/fpdf"
	"github.com/boombuler/barcode"
	"github.com/boombuler/barcode/code128"

	"github.com/ehealth-continuity/ehealth/identity"
)

// The page, in millimetres.
const (
	pageWidth, pageHeight = 210.0, 297.0
	margin                = 15.0
	width                 = pageWidth - 2*margin
	formEnd               = 238.0 // items of a form end here, signature and labels come below
	proofEnd              = 275.0 // items of a proof
	peopleEnd             = 150.0 // the boxes of the people end above, whatever is in them
	module                = 0.4   // the narrowest bar: twice what a cheap printer can do
	quiet                 = 10    // modules of white on both sides of a barcode (ISO/IEC 15417)
	barHeight             = 16.0
)

// style is a size of the text: points, and millimetres from line to line.
type style struct {
	bold      string
	size, gap float64
}

var (
	titleStyle = style{"B", 16, 8}
	warnStyle  = style{"B", 11, 5.2}
	bodyStyle  = style{"", 9.5, 4.4}
	boldStyle  = style{"B", 9.5, 4.4}
	smallStyle = style{"", 8, 3.8}
	ridStyle   = style{"B", 14, 6.5}
)

// page draws from top to bottom; y is where the next thing begins. After an error it draws nothing.
type page struct {
	*printable
	pdf *fpdf.Fpdf
	y   float64
	err error
}

func newPage(t *printable) *page {
	f := fpdf.New("P", "mm", "A4", "")
	f.SetMargins(0, 0, 0)
	f.SetCellMargin(0)
	f.SetAutoPageBreak(false, 0)
	// The built-in fonts and no compression: the text is found by any program, and the same content is the same file with
	// every version of Go.
	f.SetCompression(false)
	f.SetCatalogSort(true)
	f.SetCreationDate(t.created)
	f.SetModificationDate(t.created)
	f.SetProducer("ehealth", false)
	f.SetLang(string(t.language))
	f.SetLineWidth(0.25)
	f.AddPage()
	return &page{printable: t, pdf: f, y: margin}
}

// wrap breaks a text into the lines that it takes.
func (p *page) wrap(s style, w float64, text []byte) [][]byte {
	p.pdf.SetFont("Helvetica", s.bold, s.size)
	var out [][]byte
	for part := range bytes.SplitSeq(bytes.TrimSpace(text), []byte{'\n'}) {
		lines := p.pdf.SplitLines(part, w)
		if len(lines) == 0 {
			lines = [][]byte{nil}
		}
		out = append(out, lines...)
	}
	return out
}

// put writes lines from y on and returns where they end.
func (p *page) put(s style, x, y float64, lines [][]byte) float64 {
	p.pdf.SetFont("Helvetica", s.bold, s.size)
	for _, l := range lines {
		if len(l) > 0 {
			p.pdf.Text(x, y+0.75*s.gap, string(l))
		}
		y += s.gap
	}
	return y
}

// fixed writes one of our own texts.
func (p *page) fixed(s style, x, y, w float64, text string) float64 {
	b, _ := latin(text)
	return p.put(s, x, y, p.wrap(s, w, b))
}

// heading is the title and, in a frame, what the document is and is not.
func (p *page) heading(title, is, what string) {
	p.pdf.SetTitle(title, true)
	y := p.fixed(titleStyle, margin, p.y, width, title) + 2
	top := y
	y = p.fixed(warnStyle, margin+3, y+2, width-6, is)
	y = p.fixed(bodyStyle, margin+3, y+1, width-6, what) + 2
	p.pdf.Rect(margin, top, width, y-top, "D")
	p.y = y + 4
}

// people are two boxes beside each other.
func (p *page) people() {
	const gap = 4.0
	w := (width - gap) / 2
	end := p.y
	for i, who := range []struct {
		label string
		lines [][]byte
	}{{p.words.prescriber, p.prescriber}, {p.words.patient, p.patient}} {
		x := margin + float64(i)*(w+gap)
		y := p.fixed(smallStyle, x+3, p.y+2, w-6, who.label)
		for j, text := range who.lines {
			s := bodyStyle
			if j == 0 {
				s = boldStyle
			}
			y = p.put(s, x+3, y, p.wrap(s, w-6, text))
		}
		end = max(end, y+2)
	}
	if end > peopleEnd {
		p.fail(0)
		return
	}
	p.pdf.Rect(margin, p.y, w, end-p.y, "D")
	p.pdf.Rect(margin+w+gap, p.y, w, end-p.y, "D")
	p.y = end + 3
}

func (p *page) dates() {
	for i, d := range []struct{ name, day string }{{p.words.issued, p.issued}, {p.words.from, p.from}, {p.words.until, p.until}} {
		x := margin + float64(i)*width/3
		p.put(boldStyle, x, p.fixed(smallStyle, x, p.y, width/3, d.name), [][]byte{[]byte(d.day)})
	}
	p.y += smallStyle.gap + boldStyle.gap + 3
}

// part is a run of lines in one style.
type part struct {
	style
	x     float64
	lines [][]byte
}

// parts are the number of a medicine and, from the same height on, what is said of it.
func (p *page) parts(no int, it printableItem) (all []part, height float64) {
	const indent = 8.0
	add := func(s style, label string, text []byte) {
		if len(text) == 0 {
			return
		}
		if label != "" {
			b, _ := latin(label + ": ")
			text = append(b, text...)
		}
		all = append(all, part{s, margin + indent, p.wrap(s, width-indent, text)})
		height += s.gap * float64(len(all[len(all)-1].lines))
	}
	all = append(all, part{boldStyle, margin, [][]byte{[]byte(strconv.Itoa(no) + ".")}})
	add(boldStyle, "", it.medicine)
	add(bodyStyle, p.words.quantity, it.quantity)
	add(bodyStyle, p.words.use, it.posology)
	add(bodyStyle, "", it.note)
	return all, height
}

// items writes the medicines and closes the space below them, so that none can be added. All of them stand above end.
func (p *page) items(end float64) {
	if p.err != nil {
		return
	}
	y := p.fixed(boldStyle, margin, p.y, width, p.words.items+" ("+strconv.Itoa(len(p.printable.items))+")") + 1
	p.pdf.Line(margin, y, margin+width, y)
	y += 2
	for i, it := range p.printable.items {
		parts, height := p.parts(i+1, it)
		if y+height > end {
			p.fail(i)
			return
		}
		p.put(parts[0].style, parts[0].x, y, parts[0].lines)
		for _, part := range parts[1:] {
			y = p.put(part.style, part.x, y, part.lines)
		}
		y += 1.5
	}
	p.pdf.Line(margin, y, margin+width, y)
	if end-y > 10 {
		p.pdf.Line(margin, end, margin+width, y)
	}
	p.y = end + 3
}

func (p *page) fail(fit int) {
	if p.err == nil {
		p.err = &OverflowError{Items: len(p.printable.items), Fit: fit}
	}
}

// signature is where the prescriber signs and the pharmacy puts its labels.
func (p *page) signature() {
	if p.err != nil {
		return
	}
	const gap, height = 4.0, 40.0
	w := (width - gap) / 2
	for i, label := range []string{p.words.pharmacy, p.words.sign} {
		x := margin + float64(i)*(w+gap)
		p.pdf.Rect(x, p.y, w, height, "D")
		p.fixed(smallStyle, x+3, p.y+2, w-6, label)
	}
}

func (p *page) foot() {
	if p.err == nil {
		p.fixed(smallStyle, margin, p.y, width, p.words.handwritten)
	}
}

// barcode draws the RID as Code 128, black on white, and writes it below.
func (p *page) barcode(rid identity.RID) {
	code, err := code128.Encode(rid.Reveal())
	if err != nil {
		p.err = ErrRID
		return
	}
	n := code.Bounds().Dx()
	x := (pageWidth - float64(n)*module) / 2
	y := p.y + 2
	p.pdf.SetFillColor(0, 0, 0)
	for i := 0; i < n; {
		j := i
		for ; j < n && dark(code, j); j++ {
		}
		if j > i {
			p.pdf.Rect(x+float64(i)*module, y, float64(j-i)*module, barHeight, "F")
		}
		i = j + 1
	}
	p.pdf.SetFont("Helvetica", ridStyle.bold, ridStyle.size)
	text := p.words.rid + " " + rid.Reveal()
	y += barHeight + 1
	p.y = p.put(ridStyle, (pageWidth-p.pdf.GetStringWidth(text))/2, y, [][]byte{[]byte(text)}) + 4
}

func dark(code barcode.Barcode, i int) bool {
	r, _, _, _ := code.At(i, 0).RGBA()
	return r == 0
}
