package sandbox

import (
	"crypto/rand"
	"math/big"

	"github.com/ehealth-continuity/ehealth/identity"
)

// ridCount is how many RIDs a type has: 33 symbols in eight places (dossier 04 section 10).
var ridCount = new(big.Int).Exp(big.NewInt(33), big.NewInt(8), nil)

// newRID makes a RID that no prescription has. The error says that the type cannot stand in a RID.
func (st *recipeState) newRID(typ string) (string, error) {
	for {
		n, err := rand.Int(rand.Reader, ridCount)
		if err != nil {
			return "", err
		}
		rid, err := identity.NewRID(identity.PrescriptionType(typ), n.Uint64())
		if err != nil {
			return "", err
		}
		if st.records[rid.Reveal()] == nil {
			return rid.Reveal(), nil
		}
	}
}
