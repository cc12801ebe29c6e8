package paper

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/internal/oracle"
)

// widths are the symbols of Code 128 (ISO/IEC 15417 table 1): bars and spaces in turn, in modules. 103 to 105 begin a code
// in set A, B or C, 106 ends it.
var widths = strings.Fields(`
212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 123122 123221
223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 232121 111323 131123 131321
112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 313121 211331 231131 213113 213311 213131
311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 111422 121124 121421 141122 141221 112214 112412 122114
122411 142112 142211 241211 221114 413111 241112 134111 111242 121142 121241 114212 124112 124211 411212 421112 421211 212141
214121 412121 111143 111341 131141 114113 114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 2331112`)

// readCode128 reads bars and spaces in turn, in any unit.
func readCode128(runs []float64) (string, error) {
	var unit float64
	for _, r := range runs[:min(6, len(runs))] {
		unit += r / 11
	}
	var values []int
	for len(runs) > 0 {
		n := min(6, len(runs))
		if len(runs) == 7 {
			n = 7
		}
		var s strings.Builder
		for _, r := range runs[:n] {
			m := math.Round(r / unit)
			if math.Abs(r/unit-m) > 0.1 {
				return "", fmt.Errorf("a run of %.3f modules", r/unit)
			}
			fmt.Fprintf(&s, "%.0f", m)
		}
		v := -1
		for i, w := range widths {
			if w == s.String() {
				v = i
			}
		}
		if v < 0 {
			return "", fmt.Errorf("no symbol %s", s.String())
		}
		values, runs = append(values, v), runs[n:]
	}
	return text128(values)
}

func text128(values []int) (string, error) {
	last := len(values) - 1
	if last < 3 || values[last] != 106 {
		return "", fmt.Errorf("no end in %v", values)
	}
	sum := values[0]
	for i, v := range values[1 : last-1] {
		sum += (i + 1) * v
	}
	if sum%103 != values[last-1] {
		return "", fmt.Errorf("the check symbol is %d, not %d", values[last-1], sum%103)
	}
	set, out := values[0], ""
	for _, v := range values[1 : last-1] {
		switch {
		case set == 104 && v < 95:
			out += string(rune(' ' + v))
		case set == 104 && v == 99:
			set = 105
		case set == 105 && v < 100:
			out += fmt.Sprintf("%02d", v)
		case set == 105 && v == 100:
			set = 104
		default:
			return "", fmt.Errorf("symbol %d in set %d", v, set)
		}
	}
	return out, nil
}

var bar = regexp.MustCompile(`([0-9.]+) ([0-9.]+) ([0-9.]+) (-?[0-9.]+) re f\n`)

// bars are the filled rectangles of a page, with the spaces between them.
func bars(t *testing.T, pdf []byte) (runs []float64, left, right float64) {
	t.Helper()
	end := 0.0
	for i, m := range bar.FindAllSubmatch(pdf, -1) {
		var x, y, w, h float64
		if _, err := fmt.Sscan(string(bytes.Join(m[1:], []byte(" "))), &x, &y, &w, &h); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			left = x
		} else {
			runs = append(runs, x-end)
		}
		runs, end = append(runs, w), x+w
	}
	return runs, left, end
}

var rids = []string{testRID, "BEP1ABCDEFGJ", "BEPP01234567", "BEP000000000", "BEK9ZZZZZZZZ", "BEN012AB34CD"}

// TestBarcode reads the bars as they are drawn, with a reader that shares nothing with what drew them.
func TestBarcode(t *testing.T) {
	for _, rid := range rids {
		e := electronic(DE)
		e.RID = identity.MustRID(rid)
		var out bytes.Buffer
		if err := Proof(&out, e); err != nil {
			t.Fatal(err)
		}
		runs, left, right := bars(t, out.Bytes())
		got, err := readCode128(runs)
		if err != nil || got != rid {
			t.Errorf("%q: %q, %v", rid, got, err)
		}
		const unit = module / 25.4 * 72
		if left < quiet*unit || right > 595.28-quiet*unit {
			t.Errorf("no white beside the code: %v to %v", left, right)
		}
		if n := strings.Count(said(out.Bytes()), rid); n != 1 {
			t.Errorf("%s stands there %d times", rid, n)
		}
	}
}

// TestFallbackHasNoBarcode: nothing on the form can be scanned or taken for a RID.
func TestFallbackHasNoBarcode(t *testing.T) {
	for _, lang := range []Language{FR, NL, DE} {
		pdf := render(t, form, content(lang))
		if runs, _, _ := bars(t, pdf); len(runs) != 0 {
			t.Errorf("%s: %d bars", lang, len(runs))
		}
		if text := said(pdf); strings.Contains(text, "RID") || regexp.MustCompile(`BE[PKN]`).MatchString(text) {
			t.Errorf("%s: %s", lang, text)
		}
	}
}

// TestReaderRefuses: the reader of this test can fail.
func TestReaderRefuses(t *testing.T) {
	runs, _, _ := bars(t, render(t, proof, content(FR)))
	runs[8], runs[9] = runs[9]*2, runs[8]
	if got, err := readCode128(runs); err == nil {
		t.Errorf("spoilt bars are read as %q", got)
	}
}

// TestScanner: a scanner reads one barcode off the rasterised page, and none off the form.
func TestScanner(t *testing.T) {
	draw, scan := oracle.Tool(t, "pdftoppm"), oracle.Tool(t, "zbarimg")
	for name, write := range both {
		dir := t.TempDir()
		path := filepath.Join(dir, "page.pdf")
		if err := os.WriteFile(path, render(t, write, content(NL)), 0o600); err != nil {
			t.Fatal(err)
		}
		runTool(t, draw, "-r", "200", "-gray", "-singlefile", path, filepath.Join(dir, "page"))
		out, err := exec.Command(scan, "-q", "--nodbus", filepath.Join(dir, "page.pgm")).Output()
		switch {
		case name == "proof" && (err != nil || string(out) != "CODE-128:"+testRID+"\n"):
			t.Errorf("the proof is scanned as %q: %v", out, err)
		case name == "fallback" && len(out) != 0:
			t.Errorf("the form is scanned as %q", out)
		}
	}
}

func runTool(t *testing.T, tool string, args ...string) string {
	t.Helper()
	out, err := exec.Command(tool, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", filepath.Base(tool), err, out)
	}
	return string(out)
}
