package recipe_test

import (
	"testing"

	"github.com/ehealth-continuity/ehealth/identity"
	"github.com/ehealth-continuity/ehealth/recipe"
	"github.com/ehealth-continuity/ehealth/recipe/kmehr"
	"github.com/ehealth-continuity/ehealth/resilience/outbox"
	"github.com/ehealth-continuity/ehealth/sts"
)

// as lets another prescriber use the surgery.
func (s *surgery) as(keys holder, who recipe.Caller, login sts.Identity) {
	s.t.Helper()
	s.close()
	client := s.sb.HTTPClient()
	s.t.Cleanup(client.CloseIdleConnections)
	s.link, s.engine = linkAs(s.t, s.sb, keys, keys, client, login)
	var err error
	s.p, err = recipe.NewPrescriber(s.link, who, s.options...)
	ok(s.t, err)
	key, err := outbox.KeyFromBytes(make([]byte, 32))
	ok(s.t, err)
	disk, err := outbox.OpenBolt(s.file)
	ok(s.t, err)
	s.box, err = outbox.Open(s.t.Context(), disk, outbox.NewKeys(key), s.p.Handle()...)
	ok(s.t, err)
	s.p.Use(s.box)
}

// Whoever prescribes can read what he wrote, by number and in the list: the default readers fit what the login token of every
// profession certifies.
func TestEveryProfession(t *testing.T) {
	professions := map[identity.Quality]kmehr.Profession{identity.Dentist: kmehr.Dentist, identity.Midwife: kmehr.Midwife}
	inSandbox(t, func(t *testing.T, s *surgery) {
		for _, quality := range []identity.Quality{identity.Hospital, identity.Dentist, identity.Midwife} {
			r := s.request(string(quality))
			if quality == identity.Hospital {
				org := s.sb.Organisation(quality, 0)
				number := identity.MustNIHII(org.Number)
				s.as(org, recipe.Caller{NIHII: number, Quality: quality}, sts.Identity{Quality: quality, NIHII: number})
				r.Prescription.Hospital = &kmehr.Hospital{NIHII: number, Name: kmehr.Hide("Sample Hospital")}
			} else {
				person := s.sb.Person(quality, 0)
				s.as(person, recipe.Caller{NIHII: person.NIHII, Quality: quality, SSIN: person.SSIN}, doctorLogin(person))
				r.Prescription.Author.NIHII, r.Prescription.Author.Profession = person.NIHII, professions[quality]
			}
			made, err := s.p.Create(t.Context(), r)
			ok(t, err)
			if _, err = s.p.Get(t.Context(), made.RID); err != nil {
				t.Errorf("%s: %v", quality, err)
			}
			n := 0
			for l, err := range s.p.List(t.Context(), recipe.ListQuery{Patient: s.patient.SSIN, Own: true}) {
				ok(t, err)
				if n++; l.Err != nil || l.Message == nil {
					t.Errorf("%s: listed without content: %v", quality, l.Err)
				}
			}
			if n != 1 {
				t.Errorf("%s: %d listed", quality, n)
			}
		}
	})
}
