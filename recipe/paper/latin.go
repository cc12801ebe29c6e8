package paper

import (
	"strings"
	"unicode"
)

// win1252 holds what Windows-1252, the encoding of the built-in fonts of PDF, has at 0x80 to 0x9F; 0 = nothing.
var win1252 = [32]rune{
	'€', 0, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0, 'Ž', 0,
	0, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0, 'ž', 'Ÿ',
}

// outside gives each letter that the encoding lacks the letter printed in its place. They are those of the passport rules
// (ICAO document 9303 part 3 section 6): the letter without its mark, so that paper and identity card agree.
var outside = func() map[rune]string {
	m := map[rune]string{
		'ĳ': "ij", 'Ĳ': "IJ", 'ẞ': "SS", 'ſ': "s", 'ŉ': "'n", 'Ə': "E", 'ə': "e", 'ĸ': "q",
		'Ǆ': "DZ", 'ǅ': "Dz", 'ǆ': "dz", 'Ǉ': "LJ", 'ǈ': "Lj", 'ǉ': "lj", 'Ǌ': "NJ", 'ǋ': "Nj", 'ǌ': "nj",
		'ﬀ': "ff", 'ﬁ': "fi", 'ﬂ': "fl", 'ﬃ': "ffi", 'ﬄ': "ffl",
	}
	for _, of := range []string{
		"AĀĂĄǍȀȂȦẠẢẤẦẨẪẬẮẰẲẴẶ", "aāăąǎȁȃȧạảấầẩẫậắằẳẵặ", "BḂ", "bḃ", "CĆĈĊČ", "cćĉċč", "DĎĐḌ", "dďđḍ",
		"EĒĔĖĘĚȄȆȨẸẺẼẾỀỂỄỆ", "eēĕėęěȅȇȩẹẻẽếềểễệ", "FḞ", "fḟ", "GĜĞĠĢǦǤ", "gĝğġģǧǥ", "HĤĦȞḤ", "hĥħȟḥ",
		"IĨĪĬĮİǏȈȊỈỊ", "iĩīĭįıǐȉȋỉị", "JĴ", "jĵ", "KĶǨ", "kķǩ", "LĹĻĽĿŁḶ", "lĺļľŀłḷ", "MṀ", "mṁ", "NŃŅŇŊǸ", "nńņňŋǹ",
		"OŌŎŐƠǑǪȌȎȮỌỎỐỒỔỖỘỚỜỞỠỢ", "oōŏőơǒǫȍȏȯọỏốồổỗộớờởỡợ", "PṖ", "pṗ", "RŔŖŘȐȒ", "rŕŗřȑȓ", "SŚŜŞȘṠ", "sśŝşșṡ",
		"TŢŤŦȚṪ", "tţťŧțṫ", "UŨŪŬŮŰŲƯǓȔȖỤỦỨỪỬỮỰ", "uũūŭůűųưǔȕȗụủứừửữự", "WŴẀẂẄ", "wŵẁẃẅ", "YŶȲỲỴỶỸ", "yŷȳỳỵỷỹ",
		"ZŹŻȤ", "zźżȥ",
	} {
		base := of[:1]
		for _, r := range of[1:] {
			m[r] = base
		}
	}
	return m
}()

// signs are those outside the encoding that have another spelling of the same meaning. Powers are not among them: 10⁶ would
// become 106.
var signs = map[rune]string{
	'\t': " ", '\u00a0': " ", '\u2002': " ", '\u2003': " ", '\u2007': " ", '\u2009': " ", '\u200a': " ", '\u202f': " ",
	'\u00ad': "", '\u200b': "", '\u200c': "", '\u200d': "", '\ufeff': "",
	'\u2010': "-", '\u2011': "-", '\u2012': "-", '\u2015': "—", '\u2212': "-", '\u02bc': "'", '\u2032': "'", '\u2033': `"`,
	'≤': "<=", '≥': ">=", '≈': "±", '→': "->", '←': "<-", '⁄': "/", '∕': "/", '\u03bc': "µ", '℃': "°C",
	'₀': "0", '₁': "1", '₂': "2", '₃': "3", '₄': "4", '₅': "5", '₆': "6", '₇': "7", '₈': "8", '₉': "9",
	'⅓': "1/3", '⅔': "2/3", '⅕': "1/5", '⅖': "2/5", '⅗': "3/5", '⅘': "4/5", '⅙': "1/6", '⅚': "5/6",
	'⅛': "1/8", '⅜': "3/8", '⅝': "5/8", '⅞': "7/8",
}

// greek are the letters that names of substances use, each alone, as in interferon β.
var greek = map[rune]string{'α': "alpha", 'β': "beta", 'γ': "gamma", 'δ': "delta", 'ε': "epsilon", 'ω': "omega"}

// composed holds, by mark, pairs of a letter and what both are together in the encoding.
var composed = map[rune]string{
	'\u0300': "AÀEÈIÌOÒUÙaàeèiìoòuù",
	'\u0301': "AÁEÉIÍOÓUÚYÝaáeéiíoóuúyý",
	'\u0302': "AÂEÊIÎOÔUÛaâeêiîoôuû",
	'\u0303': "AÃNÑOÕaãnñoõ",
	'\u0308': "AÄEËIÏOÖUÜYŸaäeëiïoöuüyÿ",
	'\u030a': "AÅaå",
	'\u030c': "SŠZŽsšzž",
	'\u0327': "CÇcç",
}

// latin writes s in Windows-1252. What the encoding lacks is spelled as the tables above say; for anything else it returns
// the rune that cannot be printed, and never puts a question mark or a gap in its place.
func latin(s string) (text []byte, bad rune) {
	in := []rune(strings.ReplaceAll(s, "\r\n", "\n"))
	out := make([]rune, 0, len(in))
	for i, r := range in {
		spelled, ok := spell(in, i)
		switch {
		case ok && unicode.Is(unicode.Mn, r):
			out = mark(out, r)
		case ok:
			if unicode.Is(unicode.No, r) && i > 0 && unicode.IsDigit(in[i-1]) && len(spelled) == 3 {
				out = append(out, ' ') // 1⅓ is not eleven thirds
			}
			out = append(out, []rune(spelled)...)
		default:
			return nil, r
		}
	}
	for _, r := range out {
		b, _ := encode(r)
		text = append(text, b)
	}
	return text, 0
}

// spell returns how the rune at place i is written.
func spell(in []rune, i int) (string, bool) {
	r := in[i]
	if _, ok := encode(r); ok && signs[r] == "" && r != '\u00ad' {
		return string(r), true
	}
	if s, ok := outside[r]; ok {
		return s, true
	}
	if s, ok := signs[r]; ok {
		return s, true
	}
	if unicode.Is(unicode.Mn, r) { // a mark is for the Latin letter before it
		for j := i - 1; j >= 0; j-- {
			if !unicode.Is(unicode.Mn, in[j]) {
				return "", r <= '\u036f' && unicode.Is(unicode.Latin, in[j])
			}
		}
		return "", false
	}
	s, ok := greek[r]
	alone := (i == 0 || !unicode.Is(unicode.Greek, in[i-1])) && (i+1 == len(in) || !unicode.Is(unicode.Greek, in[i+1]))
	return s, ok && alone
}

// mark puts a mark on the last letter if the encoding has both as one, and else leaves it out.
func mark(out []rune, m rune) []rune {
	pairs := []rune(composed[m])
	last := len(out) - 1
	for i := 0; last >= 0 && i+1 < len(pairs); i += 2 {
		if pairs[i] == out[last] {
			out[last] = pairs[i+1]
			break
		}
	}
	return out
}

// encode returns the byte of a rune in Windows-1252. Of the control characters only the end of a line has one.
func encode(r rune) (byte, bool) {
	switch {
	case r == '\n', r >= ' ' && r < 0x7f, r >= 0xa0 && r <= 0xff:
		return byte(r), true
	}
	for i, w := range win1252 {
		if w == r && r != 0 {
			return byte(0x80 + i), true
		}
	}
	return 0, false
}

// decode is the inverse of encode.
func decode(b byte) rune {
	if b >= 0x80 && b < 0xa0 {
		return win1252[b-0x80]
	}
	return rune(b)
}
