package incident

import (
	_ "embed" // data
	"slices"
	"strings"
	"sync"

	"github.com/ehealth-continuity/ehealth/sandbox"
)

//go:embed incidents.txt
var incidents string

//go:embed synthetic.txt
var synthetic string

// catalogue parses the data once. The data is a constant of this package and a test parses it, so a mistake in it
// cannot reach a user.
var catalogue = sync.OnceValues(func() ([]sandbox.Script, error) {
	past, err := sandbox.ParseScripts(incidents)
	if err != nil {
		return nil, err
	}
	more, err := sandbox.ParseScripts(synthetic)
	return append(past, more...), err
})

// All returns every script, past incidents first, oldest first, then the synthetic ones. The caller may change it.
func All() []sandbox.Script {
	all, _ := catalogue()
	out := slices.Clone(all)
	for i := range out {
		out[i].Steps = slices.Clone(out[i].Steps)
	}
	return out
}

// Get returns the script with that id, such as "INC-2018-06-12-LB" or "SYN-FLAP". Letters may be of either case.
func Get(id string) (sandbox.Script, bool) {
	for _, s := range All() {
		if strings.EqualFold(s.ID, id) {
			return s, true
		}
	}
	return sandbox.Script{}, false
}

// Synthetic reports whether no incident stands behind the id.
func Synthetic(id string) bool { return strings.HasPrefix(strings.ToUpper(id), "SYN-") }
