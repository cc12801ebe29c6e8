package recipe_test

import (
	"crypto"
	"errors"
	"io"
	"testing"

	"github.com/ehealth-continuity/ehealth/etee"
	"github.com/ehealth-continuity/ehealth/recipe"
)

// card is a signer that works a number of times.
type card struct {
	crypto.Signer
	left   int
	panics bool
}

var errCard = errors.New("the card was taken out")

func (c *card) Sign(r io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	if c.left--; c.left >= 0 {
		return c.Signer.Sign(r, digest, o)
	}
	if c.panics {
		panic("the driver of the card")
	}
	return nil, errCard
}

// Sealing for Recip-e takes two signatures after those of the content, when the outbox has taken the prescription in: what fails then
// was not sent, and is taken back.
func TestCardTakenOut(t *testing.T) {
	for name, c := range map[string]card{
		"content": {left: 1}, "param": {left: 2}, "second layer of the param": {left: 3}, "driver": {left: 2, panics: true},
	} {
		t.Run(name, func(t *testing.T) {
			inSandbox(t, func(t *testing.T, s *surgery) {
				s.mustCreate("before")
				s.close()
				_, auth := load(t, s.person)
				c.Signer, auth.Signer = auth.Signer, &c
				var err error
				s.link.Sealer, err = etee.NewSealer(auth)
				ok(t, err)
				s.open()
				made := s.made()
				_, err = s.create("one")
				if c.panics { // what a panic left behind nobody knows
					s.state("one", recipe.OutcomeUnsure)
					return
				}
				if !errors.As(err, new(*recipe.NotCreatedError)) || !errors.Is(err, errCard) {
					t.Errorf("error %v", err)
				}
				s.state("one", want(name))
				c.left = 100
				s.mustCreate("one")
				if s.made() != made+1 {
					t.Errorf("%d made", s.made()-made)
				}
			})
		})
	}
}

func want(name string) recipe.OutcomeState {
	if name == "content" {
		return recipe.OutcomeNotTried
	}
	return recipe.OutcomeNotCreated
}
