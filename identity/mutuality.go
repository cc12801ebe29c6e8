package identity

type mutualityKind struct{}

func (mutualityKind) label() string { return "mutuality" }

// parse applies the schema's pattern 750|999|[1-69][0-9]{2}.
func (mutualityKind) parse(s string) (string, error) {
	if err := digits(s, 3); err != nil {
		return "", err
	}
	if s != "750" && unionOf(s[0]) == UnionUnknown {
		return "", ErrForm
	}
	return s, nil
}

// Mutuality is the three-digit code of a sickness fund; its first digit is the
// national union. Dossier 05 section 6.5.
type Mutuality struct{ value[mutualityKind] }

// ParseMutuality accepts the codes of the GenIns schema:
// 750|999|[1-69][0-9]{2}.
func ParseMutuality(s string) (Mutuality, error) {
	v, err := parse[mutualityKind](s)
	return Mutuality{v}, err
}

// MustMutuality is ParseMutuality for constants in tests and examples; it panics.
func MustMutuality(s string) Mutuality { return must(ParseMutuality(s)) }

// Union returns the national union, UnionUnknown for 750 and when absent.
func (m Mutuality) Union() Union {
	if m.IsZero() {
		return UnionUnknown
	}
	return unionOf(m.Reveal()[0])
}

// MediPrima reports whether the code is 690, the destination of MediPrima.
func (m Mutuality) MediPrima() bool { return m.Reveal() == "690" }

// Union is a national union of sickness funds, or one of the two bodies that
// stand beside them. It names no person and prints in clear.
type Union uint8

// The unions by their digit.
const (
	UnionUnknown   Union = 0
	UnionChristian Union = 1
	UnionNeutral   Union = 2
	UnionSocialist Union = 3
	UnionLiberal   Union = 4
	UnionFree      Union = 5 // free, independent
	UnionCAAMI     Union = 6 // CAAMI, HZIV: the auxiliary fund
	UnionRailways  Union = 9 // HR Rail
)

func unionOf(c byte) Union {
	if c >= '1' && c <= '6' || c == '9' {
		return Union(c - '0')
	}
	return UnionUnknown
}

// ParseUnion reads the one-character form of MultiIO (1 to 6, 9) and the
// three-digit form of InsuranceOrg (100 to 600, 900). 000, which InsuranceOrg
// also knows, is UnionUnknown without an error.
func ParseUnion(s string) (Union, error) {
	if len(s) == 3 && s[1:] == "00" {
		if s[0] == '0' {
			return UnionUnknown, nil
		}
		s = s[:1]
	}
	if len(s) != 1 && len(s) != 3 {
		return UnionUnknown, &ParseError{Type: "union", Err: ErrLength}
	}
	if u := unionOf(s[0]); len(s) == 1 && u != UnionUnknown {
		return u, nil
	}
	return UnionUnknown, &ParseError{Type: "union", Err: ErrForm}
}

// Digit returns the one-character form, "" for UnionUnknown.
func (u Union) Digit() string {
	if unionOf('0'+byte(u)) == UnionUnknown {
		return ""
	}
	return string('0' + rune(u))
}

// Code returns the three-digit form, 000 for UnionUnknown.
func (u Union) Code() string {
	if d := u.Digit(); d != "" {
		return d + "00"
	}
	return "000"
}

// String returns an English name.
func (u Union) String() string {
	switch u {
	case UnionChristian:
		return "Christian"
	case UnionNeutral:
		return "Neutral"
	case UnionSocialist:
		return "Socialist"
	case UnionLiberal:
		return "Liberal"
	case UnionFree:
		return "Free"
	case UnionCAAMI:
		return "CAAMI"
	case UnionRailways:
		return "Railways"
	}
	return "unknown"
}
