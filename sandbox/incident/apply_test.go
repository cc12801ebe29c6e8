package incident

import (
	"errors"
	"testing"

	"github.com/ehealth-continuity/ehealth/sandbox"
)

// TestEveryScriptApplies: the sandbox runs every script, and says which steps it cannot carry out.
func TestEveryScriptApplies(t *testing.T) {
	sb, err := sandbox.New(sandbox.Config{Incident: Get})
	if err != nil {
		t.Fatal(err)
	}
	defer sb.Close()
	for _, sc := range All() {
		run, err := sb.Apply(sc)
		var lacking *sandbox.UnsupportedError
		if run == nil || (err != nil && !errors.As(err, &lacking)) {
			t.Errorf("%s: %v", sc.ID, err)
			continue
		}
		if lacking != nil && len(lacking.Steps) != len(run.Unsupported()) {
			t.Errorf("%s: %v, run says %v", sc.ID, lacking, run.Unsupported())
		}
		if sc.ID == "INC-2018-06-12-LB" && err != nil {
			t.Errorf("%s must be supported whole: %v", sc.ID, err)
		}
		run.Cancel()
	}
	if n := len(sb.Faults()); n != 0 {
		t.Errorf("%d faults left", n)
	}
}
