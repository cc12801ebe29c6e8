package notice

import (
	"fmt"
	"strings"
)

// Service is what a message speaks of by name.
type Service uint8

// The services. The names in four languages are those of dossier 06 part D; that of Platform is
// ours.
const (
	Platform     Service = iota // eHealth as a whole, or not known which service
	Login                       // sessions: the security token service
	Insurability                // insurability, all three services
	RecipE                      // Recip-e
	EHealthBox                  // eHealthBox
	MyCareNet                   // MyCareNet
	EAttest                     // eAttest
)

// names holds, per service, its name in the order of the languages and its code in JSON.
var names = [...]struct {
	code  string
	texts [languages]string
	brand bool // keeps its spelling at the start of a sentence
}{
	Platform:     {"platform", [languages]string{"eHealth", "eHealth", "eHealth", "eHealth"}, true},
	Login:        {"login", [languages]string{"login", "connexion eHealth", "eHealth-aanmelding", "eHealth-Anmeldung"}, false},
	Insurability: {"insurability", [languages]string{"insurability", "assurabilité", "verzekerbaarheid", "Versicherbarkeit"}, false},
	RecipE:       {"recip-e", [languages]string{"Recip-e", "Recip-e", "Recip-e", "Recip-e"}, true},
	EHealthBox:   {"ehealthbox", [languages]string{"eHealthBox", "eHealthBox", "eHealthBox", "eHealthBox"}, true},
	MyCareNet:    {"mycarenet", [languages]string{"MyCareNet", "MyCareNet", "MyCareNet", "MyCareNet"}, true},
	EAttest:      {"eattest", [languages]string{"eAttest", "eAttest", "eAttest", "eAttest"}, true},
}

// Services returns all services, Platform first.
func Services() []Service {
	all := make([]Service, len(names))
	for i := range all {
		all[i] = Service(i)
	}
	return all
}

// Name returns the name of the service in a language, as it stands inside a sentence. A value
// that is no service has the name of Platform.
func (s Service) Name(lang Lang) string { return s.name(lang.index()) }

func (s Service) name(lang int) string {
	if int(s) >= len(names) {
		s = Platform
	}
	return names[s].texts[lang]
}

// opening is the name at the start of a sentence. "eHealth" keeps its small letter everywhere.
func (s Service) opening(lang int) string {
	name := s.name(lang)
	if int(s) >= len(names) || names[s].brand || strings.HasPrefix(name, "eHealth") {
		return name
	}
	return strings.ToUpper(name[:1]) + name[1:] // all of them start with an ASCII letter
}

// String returns the code of the service, as in JSON: "login", "recip-e", ...
func (s Service) String() string {
	if int(s) >= len(names) {
		return fmt.Sprintf("service %d", uint8(s))
	}
	return names[s].code
}

// MarshalText returns the code of the service.
func (s Service) MarshalText() ([]byte, error) {
	if int(s) >= len(names) {
		return nil, fmt.Errorf("%w: service", ErrParam)
	}
	return []byte(names[s].code), nil
}

// UnmarshalText reads the code of a service.
func (s *Service) UnmarshalText(text []byte) error {
	for i := range names {
		if names[i].code == string(text) {
			*s = Service(i)
			return nil
		}
	}
	return fmt.Errorf("%w: service", ErrParam)
}

// parts of the names under which the platform lists its services (the fourth part of a UDDI id,
// dossier 01 section D), in the order in which they are looked for.
var parts = []struct {
	part    string
	service Service
}{
	{"insurability", Insurability}, // genericinsurability, insurability
	{"memberdata", Insurability},   // mycarenetmemberdata comes before mycarenet
	{"recip", RecipE},
	{"ehbox", EHealthBox},
	{"ehealthbox", EHealthBox},
	{"attest", EAttest},
	{"mycarenet", MyCareNet},
	{"tokenservice", Login},
	{"singlesignon", Login},
	{"sts", Login},
}

// ServiceOf tells which service a UDDI id or the Service field of a fault.Error means; Platform
// when it is none of those with a name.
func ServiceOf(id string) Service {
	if p := strings.Split(id, ":"); len(p) > 3 {
		id = p[3]
	}
	id = strings.ToLower(id)
	for _, p := range parts {
		if strings.Contains(id, p.part) {
			return p.service
		}
	}
	return Platform
}
